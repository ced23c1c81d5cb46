//! `DeleteMessage`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::DeleteMessageRequest>,
) -> Result<Response<()>> {
    let (owner, request) = owner::split(request)?;
    let request = convert::message::delete(request)?;
    app.delete_message(&owner, request).await?;
    Ok(Response::new(()))
}
