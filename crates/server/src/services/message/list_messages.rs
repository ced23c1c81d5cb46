//! `ListMessages`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::cached;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::ListMessagesRequest>,
) -> Result<Response<v1::ListMessagesResponse>> {
    let (owner, max_staleness, request) = cached::split(request)?;
    let request = convert::message::list(request)?;
    let page = app.list_messages(&owner, request, max_staleness).await?;
    Ok(cached::encoded(page.map(convert::message::encode_page)))
}
