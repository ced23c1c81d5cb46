//! `GetMessage`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::cached;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::GetMessageRequest>,
) -> Result<Response<v1::Message>> {
    let (owner, max_staleness, request) = cached::split(request)?;
    let which = convert::message::get(request)?;
    let message = app.message(&owner, &which, max_staleness).await?;
    Ok(cached::reply(message, convert::message::to_proto))
}
