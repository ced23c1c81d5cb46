//! `GetCacheStats`.

use parlance_app::Result;
use parlance_app::cache_admin::CacheAdmin;
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) fn handle(
    admin: &CacheAdmin,
    request: Request<v1::GetCacheStatsRequest>,
) -> Result<Response<v1::GetCacheStatsResponse>> {
    let (_owner, v1::GetCacheStatsRequest {}) = owner::split(request)?;
    Ok(Response::new(convert::cache::stats_to_proto(admin.stats())))
}
