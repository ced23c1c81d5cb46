//! `BatchGetMessages`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::{cached, reply};

pub(super) async fn handle(
    app: &App,
    request: Request<v1::BatchGetMessagesRequest>,
) -> Result<Response<v1::BatchGetMessagesResponse>> {
    let (owner, max_staleness, request) = cached::split(request)?;
    let ids = convert::message::batch(request)?;
    let batch = app.messages(&owner, ids, max_staleness).await?;
    let batch = batch.map(convert::message::encode_batch);
    reply::check_size(batch.value.len())?;
    Ok(cached::encoded(batch))
}
