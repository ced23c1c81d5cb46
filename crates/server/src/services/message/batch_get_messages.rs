//! `BatchGetMessages`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::{reply, who};

pub(super) async fn handle(
    app: &App,
    request: Request<v1::BatchGetMessagesRequest>,
) -> Result<Response<v1::BatchGetMessagesResponse>> {
    let (owner, request) = who::split(request)?;
    let ids = convert::message::batch(request)?;
    let batch = app.messages(&owner, ids).await?;
    reply::fitting(convert::message::batch_to_proto(batch))
}
