//! gRPC services of this process: those of the contract, health and reflection.

use std::sync::Arc;

use parlance_app::App;
use parlance_app::cache_admin::CacheAdmin;
use parlance_transport::layers::{Methods, RpcMetrics, UntilDrain};
use parlance_transport::shutdown::Shutdown;
use tonic::service::Routes;
use tonic_health::pb::health_server::{Health, HealthServer};

use crate::config::Settings;
use crate::services;

/// Streams that only the client ends and that do not watch the shutdown. `WatchEvents` is not one of them: the app ends it.
const ENDLESS: &[&str] = &[
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];

/// Descriptors of all served services.
pub(super) const CONTRACTS: &[&[u8]] = &[
    parlance_proto::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

pub(super) fn methods(metrics: &RpcMetrics) -> Result<Methods, prost::DecodeError> {
    Methods::new(CONTRACTS, ENDLESS, metrics)
}

pub(super) fn all(
    app: &Arc<App>,
    admin: &Arc<CacheAdmin>,
    health: HealthServer<impl Health>,
    settings: &Settings,
    shutdown: &Shutdown,
) -> Result<Routes, String> {
    let routes = services::add_to(Routes::new(health), app, admin, settings.max_request_bytes);
    let routes = if settings.reflection {
        with_reflection(routes, shutdown).map_err(|error| error.to_string())?
    } else {
        routes
    };
    Ok(routes.prepare())
}

/// Adds both versions of reflection: old clients know only v1alpha.
fn with_reflection(
    routes: Routes,
    shutdown: &Shutdown,
) -> Result<Routes, tonic_reflection::server::Error> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(parlance_proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes
        .add_service(UntilDrain::new(builder().build_v1()?, shutdown.clone()))
        .add_service(UntilDrain::new(
            builder().build_v1alpha()?,
            shutdown.clone(),
        )))
}
