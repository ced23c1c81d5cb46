//! `ListConversations`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::who;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::ListConversationsRequest>,
) -> Result<Response<v1::ListConversationsResponse>> {
    let (owner, request) = who::split(request)?;
    let request = convert::conversation::list(request)?;
    let page = app.list_conversations(&owner, request).await?;
    Ok(Response::new(convert::conversation::list_to_proto(page)))
}
