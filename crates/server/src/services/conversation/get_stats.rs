//! `GetStats`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::cached;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::GetStatsRequest>,
) -> Result<Response<v1::Stats>> {
    let (owner, max_staleness, request) = cached::split(request)?;
    let user = convert::stats::get(request)?;
    let stats = app.stats(&owner, user.as_deref(), max_staleness).await?;
    Ok(cached::reply(stats, convert::stats::to_proto))
}
