//! `ListMessages`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::who;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::ListMessagesRequest>,
) -> Result<Response<v1::ListMessagesResponse>> {
    let (owner, request) = who::split(request)?;
    let request = convert::message::list(request)?;
    let page = app.list_messages(&owner, request).await?;
    Ok(Response::new(convert::message::list_to_proto(page)))
}
