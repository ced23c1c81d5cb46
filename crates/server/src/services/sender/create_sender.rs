//! `CreateSender`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::CreateSenderRequest>,
) -> Result<Response<v1::Sender>> {
    let (owner, request) = owner::split(request)?;
    let request = convert::sender::create(request)?;
    let sender = app.create_sender(&owner, request).await?;
    Ok(Response::new(convert::sender::to_proto(sender)))
}
