//! `ClearCache`.

use parlance_app::Result;
use parlance_app::cache_admin::CacheAdmin;
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    admin: &CacheAdmin,
    request: Request<v1::ClearCacheRequest>,
) -> Result<Response<v1::ClearCacheResponse>> {
    let (_owner, v1::ClearCacheRequest {}) = owner::split(request)?;
    let count = admin.clear().await?;
    Ok(Response::new(v1::ClearCacheResponse {
        cleared: convert::cache::count(count),
    }))
}
