//! `ListMessageEvents`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::ListMessageEventsRequest>,
) -> Result<Response<v1::ListMessageEventsResponse>> {
    let (owner, request) = owner::split(request)?;
    let id = convert::message::list_events(request)?;
    let events = app.message_events(&owner, id).await?;
    Ok(Response::new(convert::message::events_to_proto(events)))
}
