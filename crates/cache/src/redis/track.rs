//! Invalidation connection: Redis reports every written lease on it (`CLIENT TRACKING`).

mod listener;
mod state;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, cmd};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::backoff::Backoff;
use super::fault::fault;
use super::info;
use super::settings::{BadSettings, Node, RedisSettings};
use crate::ledger::RemoteId;
use crate::remote::Fault;
use crate::tracking::{InvalidationHandler, Tracking};
use listener::InvalidationListener;
use state::TrackingState;

/// Tracked prefixes. Leases are tracked instead of values: every fence and release writes a lease, while the expiry of a value is
/// not reported reliably.
const PREFIXES: [&str; 2] = ["lease:{message:", "lease:{conversation:"];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the identity of the process is checked: a process that is demoted and promoted again keeps its connections.
const IDENTITY_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Invalidation connection to a single node. A cluster is not supported, because a PING is not routed by key.
pub struct InvalidationConnection {
    shared: Arc<TrackingState>,
    client: Client,
    driver: OnceLock<(AbortHandle, Arc<dyn InvalidationHandler>)>,
}

impl std::fmt::Debug for InvalidationConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InvalidationConnection")
            .field("identity", &self.identity())
            .finish_non_exhaustive()
    }
}

impl InvalidationConnection {
    /// Creates the connection; it connects when [`Tracking::listen`] is called.
    pub fn new(settings: &RedisSettings) -> Result<Arc<Self>, BadSettings> {
        if let Node::Cluster(_) = &settings.node {
            return Err(BadSettings::Tracking);
        }
        let mut addresses = settings.addresses()?.into_iter();
        let address = addresses.next().ok_or(BadSettings::NoUrl)?;
        let redis = address.redis_settings().clone();
        let address = address.set_redis_settings(redis.set_protocol(ProtocolVersion::RESP3));
        let client = Client::open(address).map_err(|_| BadSettings::Url)?;
        Ok(Arc::new(Self {
            shared: Arc::new(TrackingState {
                state: watch::Sender::default(),
                latest_wanted: AtomicU64::new(0),
                wanted: Notify::new(),
                began: Instant::now(),
                timeout: settings.timeout,
            }),
            client,
            driver: OnceLock::new(),
        }))
    }
}

#[async_trait]
impl Tracking for InvalidationConnection {
    /// Only the handler of the first call is notified. Must be called within a runtime.
    fn listen(&self, handler: Arc<dyn InvalidationHandler>) {
        self.driver.get_or_init(|| {
            let (shared, client) = (Arc::clone(&self.shared), self.client.clone());
            let driver = tokio::spawn(drive(shared, client, Arc::clone(&handler)));
            (driver.abort_handle(), handler)
        });
    }

    fn identity(&self) -> Option<RemoteId> {
        self.shared.state.borrow().live.clone()
    }

    async fn barrier(&self, since: Instant) -> bool {
        let since = self.shared.nanos(since);
        let generation = {
            let state = self.shared.state.borrow();
            if state.live.is_none() || state.until >= since {
                return state.live.is_some();
            }
            state.generation
        };
        // Subscribed before the request, so that the answer is not missed; `wait_for` checks the present state first.
        let mut state = self.shared.state.subscribe();
        self.shared.latest_wanted.fetch_max(since, Ordering::AcqRel);
        self.shared.wanted.notify_one();
        let known = state.wait_for(|state| {
            state.live.is_none() || state.generation != generation || state.until >= since
        });
        match timeout(self.shared.timeout, known).await {
            // An answer on another connection proves nothing about the invalidations of this one.
            Ok(Ok(state)) => state.live.is_some() && state.generation == generation,
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

impl Drop for InvalidationConnection {
    fn drop(&mut self) {
        if let Some((driver, handler)) = self.driver.get() {
            driver.abort();
            self.shared.state.send_modify(|state| state.live = None);
            handler.lost();
        }
    }
}

/// Keeps a connection open, replacing it when it is lost.
async fn drive(shared: Arc<TrackingState>, client: Client, handler: Arc<dyn InvalidationHandler>) {
    let mut backoff = Backoff::new();
    let mut generation = 0;
    loop {
        generation += 1;
        let listener = Arc::new(InvalidationListener::new(
            Arc::clone(&shared),
            Arc::clone(&handler),
            generation,
        ));
        let opened = timeout(CONNECT_TIMEOUT, open(&client, &listener)).await;
        match opened.unwrap_or(Err(Fault::Slow)) {
            Ok(mut connection) => {
                backoff.reset();
                tracing::debug!("receiving invalidations from redis");
                serve_barriers(&shared, &listener, &mut connection).await;
                tracing::debug!("the invalidation connection to redis was lost");
            }
            Err(fault) => {
                tracing::debug!(%fault, "opening the invalidation connection to redis failed");
            }
        }
        listener.close();
        sleep(backoff.next()).await;
    }
}

/// Opens a connection. Returns when Redis has confirmed tracking, and has answered a PING behind it.
async fn open(
    client: &Client,
    listener: &Arc<InvalidationListener>,
) -> Result<MultiplexedConnection, Fault> {
    let receiver = Arc::clone(listener);
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None)
        // Called by the connection as it reads: an invalidation before a PONG is applied before the PONG is seen.
        .set_push_sender(move |push: PushInfo| {
            receiver.receive(&push);
            Ok::<_, ()>(())
        });
    let opened = client.get_multiplexed_async_connection_with_config(&config);
    let mut connection = opened.await.map_err(|e| fault(&e))?;
    let process = info::process(&mut connection)
        .await
        .map_err(|e| fault(&e))?;
    let mut tracking = cmd("CLIENT");
    tracking.arg("TRACKING").arg("ON").arg("BCAST");
    for prefix in PREFIXES {
        tracking.arg("PREFIX").arg(prefix);
    }
    let confirmed = tracking.exec_async(&mut connection).await;
    confirmed.map_err(|e| fault(&e))?;
    let sent = listener.now();
    info::ping(&mut connection).await.map_err(|e| fault(&e))?;
    if listener.live(process, sent) {
        Ok(connection)
    } else {
        Err(Fault::Away("the connection broke at once".to_owned()))
    }
}

/// Sends a PING when barriers wait, one for all of them, until the connection breaks or answers too late.
async fn serve_barriers(
    shared: &TrackingState,
    listener: &InvalidationListener,
    connection: &mut MultiplexedConnection,
) {
    let mut check = Instant::now() + IDENTITY_CHECK_INTERVAL;
    loop {
        if Instant::now() >= check {
            let asked = timeout(shared.timeout, info::process(connection)).await;
            if !matches!(asked, Ok(Ok(process)) if listener.is_to(&process)) {
                return;
            }
            check = Instant::now() + IDENTITY_CHECK_INTERVAL;
        }
        if listener.is_closed() {
            return;
        }
        if shared.latest_wanted.load(Ordering::Acquire) <= shared.state.borrow().until {
            tokio::select! {
                () = shared.wanted.notified() => {}
                () = listener.closed() => return,
                () = tokio::time::sleep_until(check) => {}
            }
            continue;
        }
        let sent = listener.now();
        match timeout(shared.timeout, info::ping(connection)).await {
            Ok(Ok(())) => listener.confirmed_until(sent),
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
