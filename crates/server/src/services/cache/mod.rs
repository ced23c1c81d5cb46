//! `CacheService`: one file per RPC. For operators: it works on the keys of all owners.

mod clear_cache;
mod get_cache_info;
mod get_cache_stats;
mod invalidate_cache;
mod warm_cache;

use std::sync::Arc;

use parlance_app::cache_admin::CacheAdmin;
use parlance_proto::v1;
use parlance_proto::v1::cache_service_server::CacheService;
use tonic::{Request, Response, Status};

use crate::status;

/// Handlers of `CacheService`.
pub(super) struct Caches(pub(super) Arc<CacheAdmin>);

#[tonic::async_trait]
impl CacheService for Caches {
    async fn get_cache_stats(
        &self,
        request: Request<v1::GetCacheStatsRequest>,
    ) -> Result<Response<v1::GetCacheStatsResponse>, Status> {
        get_cache_stats::handle(&self.0, request).map_err(status::of)
    }

    async fn get_cache_info(
        &self,
        request: Request<v1::GetCacheInfoRequest>,
    ) -> Result<Response<v1::GetCacheInfoResponse>, Status> {
        get_cache_info::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn invalidate_cache(
        &self,
        request: Request<v1::InvalidateCacheRequest>,
    ) -> Result<Response<v1::InvalidateCacheResponse>, Status> {
        invalidate_cache::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn clear_cache(
        &self,
        request: Request<v1::ClearCacheRequest>,
    ) -> Result<Response<v1::ClearCacheResponse>, Status> {
        clear_cache::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn warm_cache(
        &self,
        request: Request<v1::WarmCacheRequest>,
    ) -> Result<Response<v1::WarmCacheResponse>, Status> {
        warm_cache::handle(&self.0, request)
            .await
            .map_err(status::of)
    }
}
