//! `GetSender`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::GetSenderRequest>,
) -> Result<Response<v1::Sender>> {
    let (owner, request) = owner::split(request)?;
    let id = convert::sender::get(request)?;
    let sender = app.sender(&owner, id).await?;
    Ok(Response::new(convert::sender::to_proto(sender)))
}
