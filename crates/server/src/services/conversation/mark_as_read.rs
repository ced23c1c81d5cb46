//! `MarkAsRead`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::MarkAsReadRequest>,
) -> Result<Response<v1::Conversation>> {
    let (owner, request) = owner::split(request)?;
    let (id, up_to) = convert::conversation::mark_as_read(request)?;
    let conversation = app.mark_as_read(&owner, id, up_to).await?;
    Ok(Response::new(convert::conversation::to_proto(conversation)))
}
