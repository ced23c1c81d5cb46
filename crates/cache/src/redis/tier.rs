//! Redis tier: calls of the protocol over shared connections, with time-outs and a circuit breaker.

mod calls;

use std::sync::{Arc, Weak};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{ConnectionInfo, RedisResult};
use futures_util::future::join_all;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::breaker::Breaker;
use super::cluster::Cluster;
use super::fault::{fault, is_misdirected};
use super::node::NodeConnections;
use super::scripts;
use super::settings::{self, BadSettings, RedisSettings};
use super::shared_connection::{OpenConnection, SharedConnection};
use crate::key::Key;
use crate::ledger::Epoch;
use crate::remote::{BreakerState, Fault, RemoteHealth};

/// How often an open breaker probes Redis.
const PROBE_INTERVAL: Duration = Duration::from_millis(500);

/// Connections to a single server, or to a cluster.
enum Route {
    Single(NodeConnections),
    Cluster(Arc<Cluster>),
}

/// Shared tier in Redis.
pub struct RedisTier {
    route: Route,
    breaker: Arc<Breaker>,
    timeout: Duration,
    max_list: usize,
    /// Text for operators if another installation has claimed the Redis database.
    refusal: String,
    tasks: Vec<AbortHandle>,
}

impl std::fmt::Debug for RedisTier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisTier")
            .field("breaker", &self.breaker.state())
            .finish_non_exhaustive()
    }
}

impl RedisTier {
    /// Connects in the background, so an absent Redis is no error. Must be called within a runtime; the tasks end with the tier.
    pub fn connect(settings: &RedisSettings) -> Result<Arc<Self>, BadSettings> {
        let addresses = settings.addresses()?;
        let refusal = refusal(&settings.node, addresses.first().ok_or(BadSettings::NoUrl)?);
        let mut tasks = Vec::new();
        let route = match (&settings.node, addresses.into_iter()) {
            (settings::Node::Single(_), mut addresses) => {
                let address = addresses.next().ok_or(BadSettings::NoUrl)?;
                Route::Single(NodeConnections::new(address, settings.connections)?)
            }
            (settings::Node::Cluster(_), seeds) => {
                let cluster = Arc::new(Cluster::new(seeds.collect(), settings.connections));
                let refreshed = Arc::clone(&cluster);
                let refresher = tokio::spawn(async move { refreshed.keep().await });
                tasks.push(refresher.abort_handle());
                Route::Cluster(cluster)
            }
        };
        Ok(Arc::new_cyclic(|tier: &Weak<Self>| {
            let breaker = Arc::new(Breaker::default());
            let prober = tokio::spawn(probe(Weak::clone(tier), Arc::clone(&breaker)));
            tasks.push(prober.abort_handle());
            Self {
                route,
                breaker,
                timeout: settings.timeout,
                max_list: settings.max_list.max(1),
                refusal,
                tasks,
            }
        }))
    }

    async fn connection(&self, key: Key) -> Result<Arc<SharedConnection>, Fault> {
        match &self.route {
            Route::Single(node) => node.connection(key).cloned(),
            Route::Cluster(cluster) => {
                let node = cluster.node(&key.to_string()).await?;
                node.connection(key).cloned()
            }
        }
    }

    /// Connection to the node that holds the claim.
    async fn claim_connection(&self) -> Result<Arc<SharedConnection>, Fault> {
        match &self.route {
            Route::Single(node) => node.any().cloned(),
            Route::Cluster(cluster) => cluster.node(scripts::CLAIM).await?.any().cloned(),
        }
    }

    /// One connection to each node.
    async fn node_connections(&self) -> Result<Vec<Arc<SharedConnection>>, Fault> {
        match &self.route {
            Route::Single(node) => Ok(vec![Arc::clone(node.any()?)]),
            Route::Cluster(cluster) => {
                let map = cluster.map().await?;
                map.nodes().map(|node| node.any().cloned()).collect()
            }
        }
    }

    async fn answers(&self) -> bool {
        match &self.route {
            Route::Single(node) => node.probe(self.timeout).await,
            Route::Cluster(cluster) => {
                cluster.mark_stale();
                let Ok(Ok(map)) = timeout(self.timeout, cluster.map()).await else {
                    return false;
                };
                let asked = join_all(map.nodes().map(|node| node.probe(self.timeout))).await;
                asked.into_iter().all(|answers| answers)
            }
        }
    }

    /// Runs a call with a time-out, and reports its result to the breaker.
    async fn guarded<T>(
        &self,
        within: Duration,
        work: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, Fault> {
        if self.breaker.state() == BreakerState::Open {
            return Err(Fault::Open);
        }
        let result = timeout(within, work).await.unwrap_or(Err(Fault::Slow));
        match &result {
            Err(fault @ (Fault::Slow | Fault::Away(_))) => self.breaker.failed(fault),
            Ok(_) | Err(Fault::Elsewhere | Fault::Open | Fault::Refused(_)) => {
                self.breaker.answered();
            }
        }
        result
    }

    /// Runs a call over a connection, if it is to the process of the epoch.
    async fn over<T, F>(
        &self,
        connection: &Arc<SharedConnection>,
        epoch: Option<&Epoch>,
        ask: impl FnOnce(MultiplexedConnection) -> F + Send,
    ) -> Result<T, Fault>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        let open_connection = connection
            .get()
            .await
            .inspect_err(|_| self.mark_map_stale())?;
        if epoch.is_some_and(|epoch| !open_connection.is_of(epoch)) {
            return Err(Fault::Elsewhere);
        }
        let mut guard = LateAnswer {
            answer: Some((connection, &open_connection)),
            from: Instant::now() + self.timeout / 2,
        };
        let answer = ask(open_connection.connection()).await;
        guard.answer = None;
        SharedConnection::answered(&open_connection);
        answer.map_err(|error| {
            let fault = fault(&error);
            if matches!(fault, Fault::Away(_)) || is_misdirected(&error) {
                self.mark_map_stale();
            }
            // The server became a replica: its address may lead to the new master by now.
            if matches!(fault, Fault::Away(_)) || error.code() == Some("READONLY") {
                connection.replace(&open_connection);
            }
            fault
        })
    }

    fn mark_map_stale(&self) {
        if let Route::Cluster(cluster) = &self.route {
            cluster.mark_stale();
        }
    }
}

fn refusal(node: &settings::Node, address: &ConnectionInfo) -> String {
    let (location, remedy) = match node {
        settings::Node::Single(_) => (
            format!("Redis database {} at", address.redis_settings().db()),
            "a Redis database of its own (REDIS_DB, or the number at the end of REDIS_URL)",
        ),
        settings::Node::Cluster(_) => (
            "the Redis Cluster at".to_owned(),
            "a Redis Cluster of its own (REDIS_CLUSTER_URLS)",
        ),
    };
    format!(
        "{location} {} is used by another Parlance installation, or by another copy of the database of this one; \
         configure {remedy} for this installation",
        address.addr()
    )
}

/// Guard of a pending answer; dropped with `answer` set if the answer did not come.
struct LateAnswer<'a> {
    answer: Option<(&'a SharedConnection, &'a Arc<OpenConnection>)>,
    /// From when on a missing answer counts against the connection, not as a cancelled call.
    from: Instant,
}

impl Drop for LateAnswer<'_> {
    fn drop(&mut self) {
        if let Some((connection, open_connection)) = self.answer
            && Instant::now() >= self.from
        {
            connection.was_late(open_connection);
        }
    }
}

impl RemoteHealth for RedisTier {
    fn reachable(&self) -> bool {
        let up = match &self.route {
            Route::Single(node) => node.is_up(),
            Route::Cluster(cluster) => cluster.is_up(),
        };
        up && self.breaker() == BreakerState::Closed
    }

    fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }
}

impl Drop for RedisTier {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn probe(tier: Weak<RedisTier>, breaker: Arc<Breaker>) {
    loop {
        let why = breaker.opened().await;
        tracing::warn!(%why, "redis does not answer: the circuit breaker is open until a probe succeeds");
        loop {
            sleep(PROBE_INTERVAL).await;
            let Some(tier) = tier.upgrade() else { return };
            if tier.answers().await {
                break;
            }
        }
        breaker.close();
        tracing::info!("redis answers again: the circuit breaker is closed");
    }
}
