//! `CreateConversation`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::{owner, reply};

pub(super) async fn handle(
    app: &App,
    request: Request<v1::CreateConversationRequest>,
) -> Result<Response<v1::Conversation>> {
    let (owner, request) = owner::split(request)?;
    let request = convert::conversation::create(request, app.limits())?;
    let made = app.create_conversation(&owner, request).await?;
    Ok(reply::replayable(made, convert::conversation::to_proto))
}
