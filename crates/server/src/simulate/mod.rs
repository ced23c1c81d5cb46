//! `parlance simulate`: a process that speaks Twilio's HTTP API, for applications under test.
//!
//! It drives the state machine of the simulator over HTTP: requests to the API and the calls of `SimulatorService`, as
//! JSON, come in at one address; webhooks go out. No message leaves the machine by itself: the only requests that it
//! sends are webhooks, to the URLs that the application and the command line give.
//!
//! Connections, bodies, kept messages, kept webhooks and webhooks on their way are bounded.

mod api;
mod client;
mod clock;
mod driver;
mod provider;
mod script;
mod service;

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use hyper_util::service::TowerToHyperService;
use parlance_proto::v1::simulator_service_server::SimulatorServiceServer;
use parlance_transport::drain::{DrainOutcome, DrainTimes, drain};
use parlance_transport::layers::{Budget, Edge, Methods, RpcMetrics, RpcState, WebOrigins};
use parlance_transport::listen::{self, ConnectionLimit, OpenConnections, Options};
use parlance_transport::shutdown::{self, Shutdown, Trigger};
use tokio::sync::mpsc;
use tonic::service::Routes;

use crate::http::json::{self, Json, Limits};
use crate::http::within_limit;
use crate::telemetry::metrics::Metrics;
use crate::wiring::{StartError, reachable};
pub use clock::Clock;

use driver::Driver;
use provider::network::{Network, Settings};
use provider::twilio::Credentials;

const MAX_CONNECTIONS: u32 = 1_000;
const MAX_BUFFERED_BYTES: usize = 64 * 1024 * 1024;
/// Number of messages whose webhooks may wait.
const MAX_WAITING: usize = 10_000;
/// Contains a file of a customer.
const MAX_REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// How long open requests and webhooks may take after a signal.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long connections may take after that.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// What the command line sets.
pub struct Configuration {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// URL that messages of customers are posted to; empty without one.
    pub inbound_url: String,
    /// Id of the account.
    pub account: String,
    /// Token of the account.
    pub token: String,
    /// Script of faults as JSON, in the form of `SetScriptRequest`.
    pub script: Option<String>,
    /// Seed of ids; random if there is none.
    pub seed: Option<u64>,
    /// The clock.
    pub clock: Clock,
}

/// Error of the start.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The port or the contract.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The script is not valid.
    #[error("--script: {0}")]
    Script(String),
    /// The URL cannot be called.
    #[error(
        "--inbound-url: {0} cannot be called; give an http URL such as http://127.0.0.1:8080/webhooks/twilio/inbound"
    )]
    InboundUrl(String),
}

/// Running simulator.
pub struct Running {
    /// The address that it listens on.
    pub address: SocketAddr,
    driver: Arc<Driver>,
    trigger: Trigger,
    served: tokio::task::JoinHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Starts the simulator; returns when its port is served.
pub fn start(configuration: Configuration) -> Result<Running, SimulateError> {
    let Configuration {
        listen: wanted,
        inbound_url,
        account,
        token,
        script,
        seed,
        clock,
    } = configuration;
    if !inbound_url.is_empty() && !client::is_callable(&inbound_url) {
        return Err(SimulateError::InboundUrl(inbound_url));
    }
    let listen_failed = |source| StartError::Listen {
        setting: "--listen",
        address: wanted,
        source,
    };
    let socket = listen::bind(wanted, false).map_err(listen_failed)?;
    let address = socket.address().map_err(listen_failed)?;
    let mut network = Network::new(Settings {
        seed: seed.unwrap_or_else(driver::random_seed),
        every_status: true,
        inbound_url,
        base_url: format!("http://{}", reachable(address)),
        max_waiting: MAX_WAITING,
    });
    if let Some(script) = script {
        let script = script::parse(&script).map_err(SimulateError::Script)?;
        let set = network.set_script(&account, script);
        set.map_err(|error| SimulateError::Script(error.to_string()))?;
    }
    let (trigger, shutdown) = shutdown::channel();
    let credentials = Credentials { account, token };
    let driver = Driver::start(network, clock, credentials, shutdown.clone());
    let router = router(&driver, &shutdown)?;
    let listener = socket.listen().map_err(listen_failed)?;
    let options =
        Options::http(OpenConnections::default()).limited(ConnectionLimit::new(MAX_CONNECTIONS));
    let service = TowerToHyperService::new(router);
    let served = tokio::spawn(listen::serve(listener, service, options, shutdown));
    tracing::info!(http = %address, "simulating");
    Ok(Running {
        address,
        driver,
        trigger,
        served,
    })
}

fn router(driver: &Arc<Driver>, shutdown: &Shutdown) -> Result<Router, StartError> {
    let contract = |error: &dyn std::fmt::Display| StartError::Contract(error.to_string());
    let metrics = Metrics::new("parlance-simulate")?;
    let counts = RpcMetrics::new(metrics.meter());
    let contracts = [parlance_proto::FILE_DESCRIPTOR_SET];
    let methods = Methods::new(&contracts, &[], &counts).map_err(|error| contract(&error))?;
    let budget = Budget::new(MAX_BUFFERED_BYTES);
    let state = RpcState::new(methods, counts, shutdown.clone(), budget, false);
    let handlers = service::Handlers::new(Arc::clone(driver));
    let server = SimulatorServiceServer::new(handlers).max_decoding_message_size(MAX_REQUEST_BYTES);
    let rpc = Edge::new(Routes::new(server).prepare(), state, WebOrigins::Loopback).rpc();
    let limits = Limits::of(MAX_REQUEST_BYTES);
    let json = Json::new(rpc.clone(), &contracts, WebOrigins::Loopback, limits)
        .map_err(|error| contract(&error))?;
    let api = api::Api::new(Arc::clone(driver), rpc, json.calls());
    let calls = json::routes(json)
        .merge(api::routes(api))
        .layer(from_fn(within_limit));
    Ok(Router::new()
        .route("/healthz", get(async || "ok\n"))
        .merge(calls))
}

impl Running {
    /// Serves until a signal arrives, and ends what is open.
    pub async fn until_stopped(self, mut signals: mpsc::Receiver<()>) -> DrainOutcome {
        let Self {
            address: _,
            driver,
            trigger,
            mut served,
        } = self;
        let times = DrainTimes {
            delay: Duration::ZERO,
            timeout: DRAIN_TIMEOUT,
        };
        let ended = async {
            if let Err(error) = (&mut served).await {
                tracing::error!(%error, "a task of the simulator failed");
            }
            driver.webhooks_ended().await;
        };
        let ending = drain(&mut signals, &trigger, times, ready(()), ready(()), ended).await;
        if !served.is_finished() {
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, served).await;
        }
        ending
    }
}
