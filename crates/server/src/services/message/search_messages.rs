//! `SearchMessages`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::who;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::SearchMessagesRequest>,
) -> Result<Response<v1::SearchMessagesResponse>> {
    let (owner, request) = who::split(request)?;
    let request = convert::message::search(request)?;
    let page = app.search_messages(&owner, request).await?;
    Ok(Response::new(convert::message::search_to_proto(page)))
}
