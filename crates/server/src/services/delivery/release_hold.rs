//! `ReleaseHold`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::ReleaseHoldRequest>,
) -> Result<Response<v1::ReleaseHoldResponse>> {
    let (_owner, v1::ReleaseHoldRequest {}) = owner::split(request)?;
    let released = app.release_hold().await?;
    Ok(Response::new(v1::ReleaseHoldResponse { released }))
}
