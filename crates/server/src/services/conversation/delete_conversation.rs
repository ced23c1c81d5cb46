//! `DeleteConversation`.

use std::sync::Arc;

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &Arc<App>,
    request: Request<v1::DeleteConversationRequest>,
) -> Result<Response<()>> {
    let (owner, request) = owner::split(request)?;
    let (id, etag) = convert::conversation::delete(request)?;
    app.delete_conversation(&owner, id, etag).await?;
    Ok(Response::new(()))
}
