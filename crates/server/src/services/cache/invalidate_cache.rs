//! `InvalidateCache`.

use parlance_app::Result;
use parlance_app::cache_admin::CacheAdmin;
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    admin: &CacheAdmin,
    request: Request<v1::InvalidateCacheRequest>,
) -> Result<Response<v1::InvalidateCacheResponse>> {
    let (_owner, request) = owner::split(request)?;
    let what = convert::cache::invalidation(request)?;
    let count = admin.invalidate(what).await?;
    Ok(Response::new(v1::InvalidateCacheResponse {
        invalidated: convert::cache::count(count),
    }))
}
