//! `GetConversation`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::who;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::GetConversationRequest>,
) -> Result<Response<v1::Conversation>> {
    let (owner, request) = who::split(request)?;
    let which = convert::conversation::get(request)?;
    let conversation = app.conversation(&owner, &which).await?;
    Ok(Response::new(convert::conversation::to_proto(conversation)))
}
