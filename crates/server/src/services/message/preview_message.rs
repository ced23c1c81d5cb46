//! `PreviewMessage`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::SendMessageRequest>,
) -> Result<Response<v1::PreviewMessageResponse>> {
    let (owner, request) = owner::split(request)?;
    let request = convert::message::preview(request, app.limits())?;
    let preview = app.preview_message(&owner, request).await?;
    Ok(Response::new(convert::message::preview_to_proto(preview)))
}
