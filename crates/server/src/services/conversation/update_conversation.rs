//! `UpdateConversation`.

use std::sync::Arc;

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &Arc<App>,
    request: Request<v1::UpdateConversationRequest>,
) -> Result<Response<v1::Conversation>> {
    let (owner, request) = owner::split(request)?;
    let edit = convert::conversation::update(request, app.limits())?;
    let conversation = app.edit_conversation(&owner, edit).await?;
    Ok(Response::new(convert::conversation::to_proto(conversation)))
}
