//! Hearing what others write: one connection that Redis tells of every lease that is written.

mod listener;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, ProtocolVersion, PushInfo, cmd};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::fault::fault;
use super::info;
use super::settings::{BadSettings, Node, RedisSettings};
use crate::ledger::RemoteId;
use crate::remote::Fault;
use crate::tracking::{InvalidationHandler, Tracking};
use listener::Ear;

/// The leases, since a value that expires tells nobody for sure, and a lease is written by each fence and release.
const PREFIXES: [&str; 2] = ["lease:{message:", "lease:{conversation:"];
const OPENING: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// How often it looks whether the process still is the same: one that was demoted and promoted again keeps its connections.
const CHECK: Duration = Duration::from_secs(1);

/// Nanoseconds since the tracking began, so that the latest time that was asked for is one atomic number.
type Moment = u64;

#[derive(Clone, Default)]
struct State {
    /// Which connection it is, counted from 1.
    generation: u64,
    /// The process it is to, while it is live.
    live: Option<RemoteId>,
    /// What happened before has been heard.
    until: Moment,
}

struct Shared {
    state: watch::Sender<State>,
    /// The latest moment that a barrier wants to be sure of.
    asked: AtomicU64,
    wanted: Notify,
    began: Instant,
    timeout: Duration,
}

impl Shared {
    fn moment(&self, instant: Instant) -> Moment {
        let since = instant.saturating_duration_since(self.began);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The connection that hears of writes; of a single node, for a PING is not routed by key.
pub struct InvalidationConnection {
    shared: Arc<Shared>,
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
    /// Connects when somebody listens.
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
            shared: Arc::new(Shared {
                state: watch::Sender::default(),
                asked: AtomicU64::new(0),
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
    /// The first who listens is told; needs a runtime around it.
    fn listen(&self, heard: Arc<dyn InvalidationHandler>) {
        self.driver.get_or_init(|| {
            let (shared, client) = (Arc::clone(&self.shared), self.client.clone());
            let driver = tokio::spawn(drive(shared, client, Arc::clone(&heard)));
            (driver.abort_handle(), heard)
        });
    }

    fn identity(&self) -> Option<RemoteId> {
        self.shared.state.borrow().live.clone()
    }

    async fn barrier(&self, since: Instant) -> bool {
        let since = self.shared.moment(since);
        let generation = {
            let state = self.shared.state.borrow();
            if state.live.is_none() || state.until >= since {
                return state.live.is_some();
            }
            state.generation
        };
        // Subscribed before it asks, so that the answer is not missed; `wait_for` looks at what is there first.
        let mut state = self.shared.state.subscribe();
        self.shared.asked.fetch_max(since, Ordering::AcqRel);
        self.shared.wanted.notify_one();
        let known = state.wait_for(|state| {
            state.live.is_none() || state.generation != generation || state.until >= since
        });
        match timeout(self.shared.timeout, known).await {
            // Of another connection an answer proves nothing about what was heard on this one.
            Ok(Ok(state)) => state.live.is_some() && state.generation == generation,
            Ok(Err(_)) | Err(_) => false,
        }
    }
}

impl Drop for InvalidationConnection {
    fn drop(&mut self) {
        if let Some((driver, heard)) = self.driver.get() {
            driver.abort();
            self.shared.state.send_modify(|state| state.live = None);
            heard.lost();
        }
    }
}

/// One connection after the other.
async fn drive(shared: Arc<Shared>, client: Client, heard: Arc<dyn InvalidationHandler>) {
    let mut pause = FIRST_PAUSE;
    let mut generation = 0;
    loop {
        generation += 1;
        let ear = Arc::new(Ear::new(
            Arc::clone(&shared),
            Arc::clone(&heard),
            generation,
        ));
        let opened = timeout(OPENING, open(&client, &ear)).await;
        match opened.unwrap_or(Err(Fault::Slow)) {
            Ok(mut connection) => {
                pause = FIRST_PAUSE;
                tracing::debug!("redis tells of writes");
                answer(&shared, &ear, &mut connection).await;
                tracing::debug!("redis does not tell of writes any more");
            }
            Err(fault) => tracing::debug!(%fault, "redis does not tell of writes"),
        }
        ear.deafen();
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A connection on which Redis has confirmed that it tells, and everything before it has confirmed that is past.
async fn open(client: &Client, ear: &Arc<Ear>) -> Result<MultiplexedConnection, Fault> {
    let hearing = Arc::clone(ear);
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None)
        // Called by the connection as it reads: what stands before a PONG is heard before the PONG is.
        .set_push_sender(move |push: PushInfo| {
            hearing.hear(&push);
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
    let sent = ear.now();
    info::ping(&mut connection).await.map_err(|e| fault(&e))?;
    if ear.live(process, sent) {
        Ok(connection)
    } else {
        Err(Fault::Away("it broke at once".to_owned()))
    }
}

/// Asks whenever a barrier wants to know, once for all that want to; until the connection breaks or answers too late.
async fn answer(shared: &Shared, ear: &Ear, connection: &mut MultiplexedConnection) {
    let mut check = Instant::now() + CHECK;
    loop {
        if Instant::now() >= check {
            let asked = timeout(shared.timeout, info::process(connection)).await;
            if !matches!(asked, Ok(Ok(process)) if ear.is_to(&process)) {
                return;
            }
            check = Instant::now() + CHECK;
        }
        if ear.is_deaf() {
            return;
        }
        if shared.asked.load(Ordering::Acquire) <= shared.state.borrow().until {
            tokio::select! {
                () = shared.wanted.notified() => {}
                () = ear.deafened() => return,
                () = tokio::time::sleep_until(check) => {}
            }
            continue;
        }
        let sent = ear.now();
        match timeout(shared.timeout, info::ping(connection)).await {
            Ok(Ok(())) => ear.heard_until(sent),
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
