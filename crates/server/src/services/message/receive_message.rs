//! `ReceiveMessage`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::{owner, reply};

pub(super) async fn handle(
    app: &App,
    request: Request<v1::ReceiveMessageRequest>,
) -> Result<Response<v1::Message>> {
    let (owner, request) = owner::split(request)?;
    let request = convert::message::receive(request, app.limits())?;
    let made = app.receive_message(&owner, request).await?;
    Ok(reply::replayable(made, convert::message::to_proto))
}
