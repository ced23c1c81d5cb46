//! `SearchMessages`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::cached;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::SearchMessagesRequest>,
) -> Result<Response<v1::SearchMessagesResponse>> {
    let (owner, max_staleness, request) = cached::split(request)?;
    let request = convert::message::search(request)?;
    let page = app.search_messages(&owner, request, max_staleness).await?;
    Ok(cached::reply(page, convert::message::search_to_proto))
}
