//! `ListSenders`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::ListSendersRequest>,
) -> Result<Response<v1::ListSendersResponse>> {
    let (owner, request) = owner::split(request)?;
    let (channel, page) = convert::sender::list(request)?;
    let page = app.list_senders(&owner, channel, page).await?;
    Ok(Response::new(convert::sender::list_to_proto(page)))
}
