//! `WarmCache`.

use parlance_app::Result;
use parlance_app::cache_admin::CacheAdmin;
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) async fn handle(
    admin: &CacheAdmin,
    request: Request<v1::WarmCacheRequest>,
) -> Result<Response<v1::WarmCacheResponse>> {
    let (owner, request) = owner::split(request)?;
    let what = convert::cache::warm(request)?;
    let warmed = admin.warm(&owner, what).await?;
    Ok(Response::new(convert::cache::warmed_to_proto(warmed)))
}
