//! `ListConversations`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::cached;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::ListConversationsRequest>,
) -> Result<Response<v1::ListConversationsResponse>> {
    let (owner, max_staleness, request) = cached::split(request)?;
    let request = convert::conversation::list(request)?;
    let page = app
        .list_conversations(&owner, request, max_staleness)
        .await?;
    Ok(cached::reply(page, convert::conversation::list_to_proto))
}
