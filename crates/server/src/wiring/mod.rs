//! Everything is put together here, and only here: database, app, services, ports, and the order of their start and end.

mod cache;
mod database;
mod delivery;
mod descriptors;
mod routes;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use hyper_util::service::TowerToHyperService;
use parlance_app::cache::CacheAdmin;
use parlance_app::delivery::Pace;
use parlance_app::{App, Environment};
use parlance_storage::{Database, StorageError};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::config::{Migrate, Settings};
use crate::convert;
use crate::drain::{DrainOutcome, Times, drain};
use crate::http;
use crate::http::json::{Calls, Json, Limits};
use crate::layers::{Budget, Edge, Rpc, Shared};
use crate::listen::{self, Age, OpenConnections, Options};
use crate::readiness::{Readiness, tell};
use crate::services::NAMES;
use crate::shutdown::{self, Shutdown, Trigger};
use crate::telemetry::metrics::Metrics;

use cache::Caching;

pub use database::migrate;

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is somebody else's, or the address is not ours.
    #[error("{setting}: cannot listen on {address}: {source}")]
    Listen {
        /// The setting.
        setting: &'static str,
        /// What it says.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database, after all attempts.
    #[error("DATABASE_URL: {url}: {source}")]
    Database {
        /// Which, without its password.
        url: String,
        /// What it says.
        source: StorageError,
    },
    /// `MIGRATE=check` found some.
    #[error(
        "MIGRATE=check: the database lacks {}; run `parlance migrate`, or start with MIGRATE=auto",
        .0.join(", ")
    )]
    Migrations(Vec<String>),
    /// How Redis is reached.
    #[error("Redis: {0}")]
    Redis(#[source] parlance_cache::redis::BadSettings),
    /// The lock beside the database.
    #[error("DATABASE_URL: {}: cannot be locked: {source}", path.display())]
    Lock {
        /// Where it lies.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another process serves from its memory what it has read from this database.
    #[error(
        "DATABASE_URL: sqlite://{}: another process uses it, and caches in its memory: it would not hear of what this one writes; \
         stop it, or set CACHE_BACKEND=off for both",
        .0.display()
    )]
    InUse(PathBuf),
    /// The contract that is compiled in cannot be served.
    #[error("the contract cannot be read: {0}")]
    Contract(String),
    /// The instruments.
    #[error("metrics cannot be set up: {0}")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
}

/// A service that runs.
pub struct Running {
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// Where health and metrics are served.
    pub http: SocketAddr,
    app: Arc<App>,
    caching: Caching,
    health: HealthReporter,
    json_calls: Calls,
    grpc_trigger: Trigger,
    http_trigger: Trigger,
    grpc_served: tokio::task::JoinHandle<()>,
    http_served: tokio::task::JoinHandle<()>,
    delivered: tokio::task::JoinHandle<()>,
    times: Times,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("grpc", &self.grpc)
            .field("http", &self.http)
            .finish_non_exhaustive()
    }
}

/// Starts everything; returns when both ports are served.
pub async fn start(settings: &Settings) -> Result<Running, StartError> {
    start_with(settings, |shared| shared).await
}

/// The same, with something put before what instances share: a test may look at it, or hurt it.
pub async fn start_with(
    settings: &Settings,
    decorate: impl FnOnce(parlance_cache::Shared) -> parlance_cache::Shared,
) -> Result<Running, StartError> {
    for warning in settings.warnings() {
        tracing::warn!("{warning}");
    }
    // First, since a port that is taken is known at once and a database may take its time.
    let grpc = Port::reserve("GRPC_LISTEN", settings.grpc_listen)?;
    let http = Port::reserve("HTTP_LISTEN", settings.http_listen)?;
    let (grpc_address, http_address) = (grpc.address, http.address);
    let plans = tokio::task::spawn_blocking(parlance_domain::address::warm_up);

    let Core {
        database,
        app,
        caching,
        desk,
        metrics,
    } = core(settings, decorate).await?;
    // Loaded while the database was opened: the first message to a phone number does not wait for it.
    match plans.await {
        Ok(()) => tracing::debug!("phone numbering plans are loaded"),
        Err(error) => tracing::error!(%error, "phone numbering plans could not be loaded"),
    }
    let (grpc_open, http_open) = (OpenConnections::default(), OpenConnections::default());
    metrics.count_connections(grpc_open.clone(), http_open.clone());
    let limit = descriptors::connection_limit(settings);

    let (grpc_trigger, grpc_shutdown) = shutdown::channel();
    let (http_trigger, http_shutdown) = shutdown::channel();
    let (health, health_service) = tonic_health::server::health_reporter();
    let readiness = Arc::new(readiness(settings, database, grpc_shutdown.clone()));
    let reporting = (Arc::clone(&readiness), health.clone());
    tell(&health, &NAMES, true).await;
    tokio::spawn(async move { reporting.0.report(&reporting.1, &NAMES).await });

    let deliveries = delivery::start(&app, &caching.cache, settings, &metrics, &grpc_shutdown);
    let routes = routes::all(
        &app,
        &deliveries.simulator,
        &desk,
        health_service,
        settings,
        &grpc_shutdown,
    )
    .map_err(StartError::Contract)?;
    let edge = edge(settings, routes, &metrics, &grpc_shutdown)?;
    let json = json(settings, edge.rpc())?;
    let json_calls = json.calls();
    let options = Options::grpc(
        settings.connections.max_concurrent_streams,
        age(settings),
        grpc_open,
    )
    .limited(limit.clone());
    let grpc_served = tokio::spawn(listen::serve(grpc.listen()?, edge, options, grpc_shutdown));

    let router = http::router(http::Parts {
        readiness,
        metrics,
        json,
    });
    let service = TowerToHyperService::new(router);
    let http_served = tokio::spawn(listen::serve(
        http.listen()?,
        service,
        Options::http(http_open).limited(limit),
        http_shutdown,
    ));
    tracing::info!(grpc = %grpc_address, http = %http_address, "serving");
    Ok(Running {
        grpc: grpc_address,
        http: http_address,
        app,
        caching,
        health,
        json_calls,
        grpc_trigger,
        http_trigger,
        grpc_served,
        http_served,
        delivered: deliveries.done,
        times: Times {
            delay: settings.drain_delay,
            longest: settings.drain_timeout,
        },
    })
}

/// The service without its ports.
struct Core {
    database: Database,
    app: Arc<App>,
    caching: Caching,
    desk: Arc<CacheAdmin>,
    metrics: Arc<Metrics>,
}

async fn core(
    settings: &Settings,
    decorate: impl FnOnce(parlance_cache::Shared) -> parlance_cache::Shared,
) -> Result<Core, StartError> {
    let database = database::open(settings).await?;
    let env = Environment::system();
    let caching = cache::open(settings, &database, &env, decorate)?;
    let app = App::new(
        database.clone(),
        Arc::clone(&caching.cache),
        parlance_app::Settings {
            installation: database::installation(settings, &database).await?,
            ..app_settings(settings)
        },
        env,
    );
    tokio::spawn(Arc::clone(&app).run_janitor());
    tokio::spawn(Arc::clone(&app).run_restore_watch());
    let metrics = Arc::new(Metrics::new(&settings.service_name)?);
    metrics.count_database(database.clone());
    // Before anybody is let in: from here on the others know that this instance writes.
    let desk = caching.start(&app, settings, &metrics).await;
    Ok(Core {
        database,
        app,
        caching,
        desk,
        metrics,
    })
}

fn edge(
    settings: &Settings,
    routes: Routes,
    metrics: &Metrics,
    shutdown: &Shutdown,
) -> Result<Edge<Routes>, StartError> {
    let rpc = metrics.rpc();
    let methods = routes::methods(&rpc).map_err(|error| StartError::Contract(error.to_string()))?;
    let traced = settings.otlp_endpoint.is_some();
    let budget = Budget::new(settings.max_buffered_bytes);
    metrics.count_buffered(budget.clone());
    let shared = Shared::new(methods, rpc, shutdown.clone(), budget, traced);
    Ok(Edge::new(routes, shared, settings.web_origins.clone()))
}

/// Health and metrics end after the calls, so that both can be watched to the end; they need not wait for anybody.
const HTTP_DRAIN: Duration = Duration::from_millis(500);

impl Running {
    /// Where values are cached.
    pub fn cache(&self) -> &'static str {
        self.caching.cache.backend().as_str()
    }

    /// Serves until a signal comes and everything has ended.
    pub async fn until_stopped(self, mut signals: mpsc::Receiver<()>) -> DrainOutcome {
        let leaving = async {
            tell(&self.health, &NAMES, false).await;
            tell(&self.health, &[""], false).await;
        };
        // Watchers connect anew at once, so they end after load balancers have chosen other instances.
        let before = async { self.app.go_down() };
        let served = async {
            let served = self.grpc_served.await;
            // Messages under way are finished too: whoever takes over would have to wait for their leases.
            self.app.go_down();
            if let Err(error) = served.and(self.delivered.await) {
                tracing::error!(%error, "a part of the service stopped");
            }
            // These came by the other port, which stays open for health and metrics.
            self.json_calls.ended().await;
            // A commit goes on though its caller has left: the values that it ends are still to be released.
            self.app.database().commits_ended().await;
            // The janitor has ended, and they had better not be lost with each release.
            if let Err(error) = self.app.keep_last_popular().await {
                tracing::debug!(%error, "popular searches were not noted");
            }
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
            let _ = tokio::time::timeout(HTTP_DRAIN, self.http_served).await;
        }
        self.http_trigger.cut();
        ending
    }
}

/// An address of ours, with the setting's name for what may go wrong.
struct Port {
    setting: &'static str,
    address: SocketAddr,
    reserved: listen::Reserved,
}

impl Port {
    fn reserve(setting: &'static str, address: SocketAddr) -> Result<Self, StartError> {
        let found = listen::reserve(address, false)
            .and_then(|reserved| Ok((reserved.address()?, reserved)));
        let failed = |source| StartError::Listen {
            setting,
            address,
            source,
        };
        let (address, reserved) = found.map_err(failed)?;
        Ok(Self {
            setting,
            address,
            reserved,
        })
    }

    fn listen(self) -> Result<TcpListener, StartError> {
        let Self {
            setting,
            address,
            reserved,
        } = self;
        reserved.listen().map_err(|source| StartError::Listen {
            setting,
            address,
            source,
        })
    }
}

fn app_settings(settings: &Settings) -> parlance_app::Settings {
    parlance_app::Settings {
        limits: settings.limits.clone(),
        feed_retention: settings.feed_retention,
        retention: settings.retention,
        feed_poll: settings.feed_poll,
        request_id_retention: settings.request_id_retention,
        note_searches: settings.cache.warm_searches > 0,
        encoders: convert::ENCODERS,
        pace: Pace {
            workers: settings.delivery_workers,
            lease: settings.delivery_lease,
            max_attempts: settings.delivery_max_attempts,
            ..Pace::default()
        },
        ..parlance_app::Settings::default()
    }
}

/// JSON goes the way of every call, so it needs the contract and no more.
fn json(settings: &Settings, rpc: Rpc<Routes>) -> Result<Json, StartError> {
    let limits = Limits::of(settings.max_request_bytes);
    Json::new(rpc, routes::CONTRACTS, settings.web_origins.clone(), limits)
        .map_err(|error| StartError::Contract(error.to_string()))
}

fn age(settings: &Settings) -> Age {
    Age {
        max: settings.connections.max_age,
        grace: settings.connections.max_age_grace,
        random,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the real source, which connections are handed"
)]
fn random() -> f64 {
    rand::Rng::random(&mut rand::rng())
}

/// Ready is: migrated, and the database answers and takes writes.
fn readiness(settings: &Settings, database: Database, shutdown: Shutdown) -> Readiness {
    // With `off` somebody else migrates, maybe later; until then each question looks, and after that none.
    let migrated = Arc::new(AtomicBool::new(settings.migrate != Migrate::Off));
    let how = settings.database.clone();
    let probe = move || {
        let (migrated, how, database) = (Arc::clone(&migrated), how.clone(), database.clone());
        async move {
            if !migrated.load(Ordering::Relaxed) {
                match parlance_storage::pending_migrations(&how).await {
                    Ok(report) if report.is_empty() => {
                        migrated.store(true, Ordering::Relaxed);
                    }
                    Ok(_) => return Err("migrations are missing"),
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
