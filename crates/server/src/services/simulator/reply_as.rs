//! `ReplyAs`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::ReplyAsRequest>,
) -> Result<Response<v1::Message>> {
    let (owner, request) = owner::split(request)?;
    let reply = convert::simulator::reply(request, app.limits())?;
    let message = app.reply_as(&owner, reply).await?;
    Ok(Response::new(convert::message::to_proto(message)))
}
