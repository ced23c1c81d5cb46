//! `GetConversation`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::cached;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::GetConversationRequest>,
) -> Result<Response<v1::Conversation>> {
    let (owner, max_staleness, request) = cached::split(request)?;
    let which = convert::conversation::get(request)?;
    let conversation = app.conversation(&owner, &which, max_staleness).await?;
    Ok(cached::reply(conversation, convert::conversation::to_proto))
}
