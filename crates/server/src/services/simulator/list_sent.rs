//! `ListSent`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) fn handle(
    app: &App,
    request: Request<v1::ListSentRequest>,
) -> Result<Response<v1::ListSentResponse>> {
    let (owner, request) = owner::split(request)?;
    let query = convert::simulator::list(request, owner)?;
    let sent = app.sent_messages(&query)?;
    Ok(Response::new(convert::simulator::list_to_proto(sent)))
}
