//! `UpdateMessage`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::UpdateMessageRequest>,
) -> Result<Response<v1::Message>> {
    let (owner, request) = owner::split(request)?;
    let edit = convert::message::update(request, app.limits(), app.now())?;
    let message = app.edit_message(&owner, edit).await?;
    Ok(Response::new(convert::message::to_proto(message)))
}
