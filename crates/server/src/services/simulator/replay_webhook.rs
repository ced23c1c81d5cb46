//! `ReplayWebhook`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) fn handle(
    app: &App,
    request: Request<v1::ReplayWebhookRequest>,
) -> Result<Response<v1::Webhook>> {
    let (owner, request) = owner::split(request)?;
    let id = convert::simulator::replay(request)?;
    let webhook = app.replay_webhook(&owner, &id)?;
    Ok(Response::new(convert::simulator::webhook_to_proto(webhook)))
}
