//! `GetCacheInfo`.

use parlance_app::Result;
use parlance_app::cache_admin::CacheAdmin;
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    admin: &CacheAdmin,
    request: Request<v1::GetCacheInfoRequest>,
) -> Result<Response<v1::GetCacheInfoResponse>> {
    let (_owner, v1::GetCacheInfoRequest {}) = owner::split(request)?;
    Ok(Response::new(convert::cache::info_to_proto(
        admin.info().await,
    )))
}
