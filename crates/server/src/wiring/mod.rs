//! Composition of the service: database, cache, app, services and ports, and the order of their start and shutdown.

mod cache;
mod database;
mod delivery;
mod descriptors;
mod port;
mod providers;
mod routes;
mod start_error;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper_util::service::TowerToHyperService;
use parlance_app::cache_admin::CacheAdmin;
use parlance_app::delivery::{Pace, ProviderRegistry};
use parlance_app::{App, Environment};
use parlance_storage::{Database, StorageError};
use parlance_transport::drain::{DrainOutcome, DrainTimes, drain};
use parlance_transport::layers::{Budget, Edge, Rpc, RpcMetrics, RpcState};
use parlance_transport::listen::{self, Age, OpenConnections, Options};
use parlance_transport::readiness::{Readiness, publish};
use parlance_transport::shutdown::{self, Shutdown, Trigger};
use tokio::sync::mpsc;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::config::{Migrate, Settings};
use crate::convert;
use crate::http;
use crate::http::json::{Calls, Json, Limits};
use crate::services::NAMES;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::webhooks::WebhookMetrics;
use crate::webhooks::{self, Served, Webhooks};

use cache::OpenCache;
use port::Port;

pub use database::migrate;
pub use port::reachable;
pub use providers::Registration;
pub use start_error::StartError;

/// Running service.
pub struct Running {
    /// Address of the gRPC port.
    pub grpc: SocketAddr,
    /// Address of the HTTP port.
    pub http: SocketAddr,
    /// Address of the webhooks: the HTTP port, or a port of their own.
    pub webhooks: SocketAddr,
    /// Names of the providers whose messages leave this machine; empty if all providers are simulated.
    pub real_providers: Vec<&'static str>,
    app: Arc<App>,
    cache: OpenCache,
    health: HealthReporter,
    json_calls: Calls,
    grpc_trigger: Trigger,
    http_trigger: Trigger,
    grpc_served: tokio::task::JoinHandle<()>,
    http_served: tokio::task::JoinHandle<()>,
    webhooks_served: Option<tokio::task::JoinHandle<()>>,
    dispatched: tokio::task::JoinHandle<()>,
    times: DrainTimes,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("grpc", &self.grpc)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

/// Starts the service; returns when both ports are served.
pub async fn start(settings: &Settings) -> Result<Running, StartError> {
    start_with(settings, |shared| shared).await
}

/// Starts the service with further providers, for tests.
pub async fn start_with_providers(
    settings: &Settings,
    providers: &[Registration],
) -> Result<Running, StartError> {
    start_as(settings, |shared| shared, providers).await
}

/// Starts the service with a wrapper around what instances share: a test may observe it or inject faults.
pub async fn start_with(
    settings: &Settings,
    decorate: impl FnOnce(parlance_cache::Shared) -> parlance_cache::Shared,
) -> Result<Running, StartError> {
    start_as(settings, decorate, &[]).await
}

async fn start_as(
    settings: &Settings,
    decorate: impl FnOnce(parlance_cache::Shared) -> parlance_cache::Shared,
    further: &[Registration],
) -> Result<Running, StartError> {
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    // First, since a port in use is detected at once, while opening the database may take long.
    let grpc = Port::bind("GRPC_LISTEN", settings.grpc_listen)?;
    let http = Port::bind("HTTP_LISTEN", settings.http_listen)?;
    let bind = |address| Port::bind("WEBHOOK_LISTEN", address);
    let webhook_port = settings.webhook_listen.map(bind).transpose()?;
    let (grpc_address, http_address) = (grpc.address, http.address);
    let webhook_address = webhook_port.as_ref().map_or(http_address, |it| it.address);

    let Core {
        database,
        app,
        cache,
        admin,
        metrics,
        providers,
    } = core(settings, decorate, further, webhook_address).await?;
    let (grpc_open, http_open) = (OpenConnections::default(), OpenConnections::default());
    metrics.count_connections(grpc_open.clone(), http_open.clone());
    let limit = descriptors::connection_limit(settings);

    let (grpc_trigger, grpc_shutdown) = shutdown::channel();
    let (http_trigger, http_shutdown) = shutdown::channel();
    let (health, health_service) = tonic_health::server::health_reporter();
    let readiness = Arc::new(readiness(settings, database, grpc_shutdown.clone()));
    let reporting = (Arc::clone(&readiness), health.clone());
    publish(&health, &NAMES, true).await;
    tokio::spawn(async move { reporting.0.report(&reporting.1, &NAMES).await });

    let dispatched = delivery::start(&app, &cache.cache, settings, &metrics, &grpc_shutdown);
    let routes = routes::all(&app, &admin, health_service, settings, &grpc_shutdown)
        .map_err(StartError::Contract)?;
    let edge = edge(settings, routes, &metrics, &grpc_shutdown)?;
    let json = json(settings, edge.rpc())?;
    let json_calls = json.calls();
    let webhooks = Webhooks::new(edge.rpc(), json.calls(), providers.clone())
        .with_attachments(Arc::clone(&app))
        .allowing_origins(settings.grpc_web_origins.clone())
        .counted(WebhookMetrics::new(metrics.meter()));
    let http_options = Options::http(http_open).limited(limit.clone());
    let (webhooks, webhooks_served) =
        serve_webhooks(webhook_port, webhooks, &http_options, &http_shutdown)?;
    let options = Options::grpc(settings.max_concurrent_streams, age(settings), grpc_open)
        .limited(limit.clone());
    let grpc_served = tokio::spawn(listen::serve(grpc.listen()?, edge, options, grpc_shutdown));

    let real_providers = providers::real(&providers);
    let parts = http::Parts {
        readiness,
        metrics,
        json,
        real_providers: real_providers.clone(),
    };
    let router = http::router(parts, webhooks::routes(webhooks));
    let service = TowerToHyperService::new(router);
    let http_served = tokio::spawn(listen::serve(
        http.listen()?,
        service,
        http_options,
        http_shutdown,
    ));
    tracing::info!(grpc = %grpc_address, http = %http_address, "serving");
    Ok(Running {
        grpc: grpc_address,
        http: http_address,
        webhooks: webhook_address,
        real_providers,
        app,
        cache,
        health,
        json_calls,
        grpc_trigger,
        http_trigger,
        grpc_served,
        http_served,
        webhooks_served,
        dispatched,
        times: DrainTimes {
            delay: settings.drain_delay,
            timeout: settings.drain_timeout,
        },
    })
}

/// Serves the webhooks on a port of their own, if there is one; returns those that remain on the HTTP port.
fn serve_webhooks(
    port: Option<Port>,
    webhooks: Webhooks,
    options: &Options,
    shutdown: &Shutdown,
) -> Result<(Webhooks, Option<tokio::task::JoinHandle<()>>), StartError> {
    let Some(port) = port else {
        return Ok((webhooks, None));
    };
    let routes = webhooks::routes(webhooks.clone().serving(Served::Real));
    let router = http::webhook_router(routes);
    let serving = listen::serve(
        port.listen()?,
        TowerToHyperService::new(router),
        options.clone(),
        shutdown.clone(),
    );
    let on_http = webhooks.serving(Served::Simulated);
    Ok((on_http, Some(tokio::spawn(serving))))
}

/// Parts of the service without its ports.
struct Core {
    database: Database,
    app: Arc<App>,
    cache: OpenCache,
    admin: Arc<CacheAdmin>,
    metrics: Arc<Metrics>,
    providers: ProviderRegistry,
}

async fn core(
    settings: &Settings,
    decorate: impl FnOnce(parlance_cache::Shared) -> parlance_cache::Shared,
    further: &[Registration],
    webhooks: SocketAddr,
) -> Result<Core, StartError> {
    let database = database::open(settings).await?;
    let env = Environment::system();
    let cache = cache::open(settings, &database, &env, decorate)?;
    let providers = providers::configured(settings, further, webhooks, &env);
    let app = App::new(
        database.clone(),
        Arc::clone(&cache.cache),
        parlance_app::Settings {
            installation: database::installation(settings, &database).await?,
            open_senders: providers::open_senders(&providers.registry),
            providers: providers.registry.clone(),
            ..app_settings(settings)
        },
        env,
    );
    providers.events.connect(&app);
    tokio::spawn(Arc::clone(&app).run_janitor());
    tokio::spawn(Arc::clone(&app).run_restore_watch());
    let metrics = Arc::new(Metrics::new(&settings.service_name)?);
    metrics.count_database(database.clone());
    // Before the ports are served: from here on the other instances know that this one writes.
    let admin = cache.start(&app, settings, &metrics).await;
    Ok(Core {
        database,
        app,
        cache,
        admin,
        metrics,
        providers: providers.registry,
    })
}

fn edge(
    settings: &Settings,
    routes: Routes,
    metrics: &Metrics,
    shutdown: &Shutdown,
) -> Result<Edge<Routes>, StartError> {
    let rpc = RpcMetrics::new(metrics.meter());
    let methods = routes::methods(&rpc).map_err(|error| StartError::Contract(error.to_string()))?;
    let traced = settings.otlp_endpoint.is_some();
    let budget = Budget::new(settings.max_buffered_bytes);
    metrics.count_buffered(budget.clone());
    let shared = RpcState::new(methods, rpc, shutdown.clone(), budget, traced);
    Ok(Edge::new(routes, shared, settings.grpc_web_origins.clone()))
}

/// Time for the requests of the HTTP port, which closes after the gRPC port so that health and metrics are served until the end.
const HTTP_DRAIN: Duration = Duration::from_millis(500);

impl Running {
    /// Name of the active cache backend.
    pub fn cache(&self) -> &'static str {
        self.cache.cache.backend().as_str()
    }

    /// Serves until a signal arrives and the shutdown is complete.
    pub async fn until_stopped(self, mut signals: mpsc::Receiver<()>) -> DrainOutcome {
        let leaving = async {
            publish(&self.health, &NAMES, false).await;
            publish(&self.health, &[""], false).await;
        };
        // Watchers reconnect at once, so their streams end after load balancers have chosen other instances.
        let before = async { self.app.go_down() };
        let served = async {
            let served = self.grpc_served.await;
            // Hand-overs under way are finished too: another instance would have to wait for their leases.
            self.app.go_down();
            if let Err(error) = served.and(self.dispatched.await) {
                tracing::error!(%error, "a task of the service failed");
            }
            // JSON calls use the HTTP port, which stays open for health and metrics.
            self.json_calls.ended().await;
            // A commit continues though its caller has left, and its cache fences must still be released.
            self.app.database().commits_ended().await;
        };
        let ending = drain(
            &mut signals,
            &self.grpc_trigger,
            self.times,
            leaving,
            before,
            served,
        )
        .await;
        self.http_trigger.drain();
        if ending != DrainOutcome::Forced {
            let served = async {
                let _ = self.http_served.await;
                if let Some(served) = self.webhooks_served {
                    let _ = served.await;
                }
            };
            let _ = tokio::time::timeout(HTTP_DRAIN, served).await;
        }
        self.http_trigger.cut();
        ending
    }
}

fn app_settings(settings: &Settings) -> parlance_app::Settings {
    parlance_app::Settings {
        limits: settings.limits(),
        feed_retention: settings.feed_retention,
        retention: settings.retention,
        feed_poll: settings.feed_poll,
        request_id_retention: settings.request_id_retention,
        warm_searches: settings.cache_warm_searches.clone(),
        encoders: convert::ENCODERS,
        pace: Pace {
            workers: settings.delivery_workers,
            lease: settings.delivery_lease,
            provider_timeout: settings.delivery_provider_timeout,
            max_attempts: settings.delivery_max_attempts,
            ..Pace::default()
        },
        ..parlance_app::Settings::default()
    }
}

/// Creates the JSON service, which makes its calls through `rpc`.
fn json(settings: &Settings, rpc: Rpc<Routes>) -> Result<Json, StartError> {
    let limits = Limits::of(settings.max_request_bytes);
    Json::new(
        rpc,
        routes::CONTRACTS,
        settings.grpc_web_origins.clone(),
        limits,
    )
    .map_err(|error| StartError::Contract(error.to_string()))
}

fn age(settings: &Settings) -> Age {
    Age {
        max: settings.connection_max_age,
        grace: settings.connection_max_age_grace,
        random,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the real source of randomness, passed to connections"
)]
fn random() -> f64 {
    rand::Rng::random(&mut rand::rng())
}

/// Creates the readiness check: migrations are applied, and the database answers and accepts writes.
fn readiness(settings: &Settings, database: Database, shutdown: Shutdown) -> Readiness {
    // With `MIGRATE=off` another process migrates, maybe later: each check looks for missing migrations until there are none.
    let migrated = Arc::new(AtomicBool::new(settings.migrate != Migrate::Off));
    let database_settings = settings.storage();
    let probe = move || {
        let (migrated, database) = (Arc::clone(&migrated), database.clone());
        let database_settings = database_settings.clone();
        async move {
            if !migrated.load(Ordering::Relaxed) {
                match parlance_storage::pending_migrations(&database_settings).await {
                    Ok(report) if report.is_empty() => {
                        migrated.store(true, Ordering::Relaxed);
                    }
                    Ok(_) => return Err("migrations are missing"),
                    Err(StorageError::OtherSchema(_)) => {
                        return Err("the tables are not those of this version");
                    }
                    Err(_) => return Err("the database does not answer"),
                }
            }
            database
                .ping()
                .await
                .map_err(|_| "the database does not answer")?;
            database
                .check_writes()
                .await
                .map_err(|_| "the database takes no writes")
        }
        .boxed()
    };
    Readiness::new(Box::new(probe), shutdown)
}
