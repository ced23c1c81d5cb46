//! `DeleteSender`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::DeleteSenderRequest>,
) -> Result<Response<()>> {
    let (owner, request) = owner::split(request)?;
    let id = convert::sender::delete(request)?;
    app.delete_sender(&owner, id).await?;
    Ok(Response::new(()))
}
