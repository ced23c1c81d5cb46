//! `ListWebhooks`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) fn handle(
    app: &App,
    request: Request<v1::ListWebhooksRequest>,
) -> Result<Response<v1::ListWebhooksResponse>> {
    let (owner, request) = owner::split(request)?;
    let query = convert::simulator::list_webhooks(request, owner)?;
    let webhooks = app.list_webhooks(&query)?;
    Ok(Response::new(convert::simulator::webhooks_to_proto(
        webhooks,
    )))
}
