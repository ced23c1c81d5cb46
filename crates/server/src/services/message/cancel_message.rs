//! `CancelMessage`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::CancelMessageRequest>,
) -> Result<Response<v1::Message>> {
    let (owner, request) = owner::split(request)?;
    let request = convert::message::cancel(request)?;
    let message = app.cancel_message(&owner, request).await?;
    Ok(Response::new(convert::message::to_proto(message)))
}
