//! The tier: what the protocol asks, over lanes, within its time, if the breaker lets it.

mod calls;

use std::sync::{Arc, Weak};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{ConnectionInfo, RedisResult};
use futures_util::future::join_all;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::breaker::{Breaker, BreakerState};
use super::cluster::Cluster;
use super::fault::{fault, is_misled};
use super::node::Node;
use super::scripts;
use super::settings::{self, BadSettings, RedisSettings};
use super::shared_connection::{Lane, Link};
use crate::key::Key;
use crate::ledger::Epoch;
use crate::remote::Fault;

/// How often an open breaker asks whether Redis answers again.
const PROBE: Duration = Duration::from_millis(500);

enum Route {
    Single(Node),
    Cluster(Arc<Cluster>),
}

/// Redis, shared by several instances.
pub struct RedisTier {
    route: Route,
    breaker: Arc<Breaker>,
    timeout: Duration,
    max_list: usize,
    /// What an operator is told where another installation uses it.
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
    /// Connects in the background, so that an absent Redis is no error. Needs a runtime around it, and ends with its last owner.
    pub fn connect(settings: &RedisSettings) -> Result<Arc<Self>, BadSettings> {
        let addresses = settings.addresses()?;
        let refusal = refusal(&settings.node, addresses.first().ok_or(BadSettings::NoUrl)?);
        let mut tasks = Vec::new();
        let route = match (&settings.node, addresses.into_iter()) {
            (settings::Node::Single(_), mut addresses) => {
                let address = addresses.next().ok_or(BadSettings::NoUrl)?;
                Route::Single(Node::new(address, settings.connections)?)
            }
            (settings::Node::Cluster(_), seeds) => {
                let cluster = Arc::new(Cluster::new(seeds.collect(), settings.connections));
                let kept = Arc::clone(&cluster);
                let keeper = tokio::spawn(async move { kept.keep().await });
                tasks.push(keeper.abort_handle());
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

    /// Whether Redis is asked.
    pub fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Whether there is a connection to each node, and they answer.
    pub fn reachable(&self) -> bool {
        let up = match &self.route {
            Route::Single(node) => node.is_up(),
            Route::Cluster(cluster) => cluster.is_up(),
        };
        up && self.breaker() == BreakerState::Closed
    }

    async fn lane(&self, key: Key) -> Result<Arc<Lane>, Fault> {
        match &self.route {
            Route::Single(node) => node.lane(key).cloned(),
            Route::Cluster(cluster) => {
                let node = cluster.node(&key.to_string()).await?;
                node.lane(key).cloned()
            }
        }
    }

    /// The lane to where the claim is kept.
    async fn claim_lane(&self) -> Result<Arc<Lane>, Fault> {
        match &self.route {
            Route::Single(node) => node.any().cloned(),
            Route::Cluster(cluster) => cluster.node(scripts::CLAIM).await?.any().cloned(),
        }
    }

    /// One of each node.
    async fn lanes(&self) -> Result<Vec<Arc<Lane>>, Fault> {
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
                cluster.is_stale();
                let Ok(Ok(map)) = timeout(self.timeout, cluster.map()).await else {
                    return false;
                };
                let asked = join_all(map.nodes().map(|node| node.probe(self.timeout))).await;
                asked.into_iter().all(|answers| answers)
            }
        }
    }

    /// Within its time, and counted by the breaker.
    async fn guarded<T>(
        &self,
        within: Duration,
        work: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, Fault> {
        if self.breaker() == BreakerState::Open {
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

    /// Asks over a lane that is to the process of the epoch.
    async fn over<T, F>(
        &self,
        lane: &Arc<Lane>,
        epoch: Option<&Epoch>,
        ask: impl FnOnce(MultiplexedConnection) -> F + Send,
    ) -> Result<T, Fault>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        let link = lane.link().await.inspect_err(|_| self.misled())?;
        if epoch.is_some_and(|epoch| !link.is_of(epoch)) {
            return Err(Fault::Elsewhere);
        }
        let mut late = Late {
            answer: Some((lane, &link)),
            from: Instant::now() + self.timeout / 2,
        };
        let answer = ask(link.connection()).await;
        late.answer = None;
        Lane::answered(&link);
        answer.map_err(|error| {
            let fault = fault(&error);
            if matches!(fault, Fault::Away(_)) || is_misled(&error) {
                self.misled();
            }
            // A server that became a replica: the address may lead to its master by now.
            if matches!(fault, Fault::Away(_)) || error.code() == Some("READONLY") {
                lane.replace(&link);
            }
            fault
        })
    }

    fn misled(&self) {
        if let Route::Cluster(cluster) = &self.route {
            cluster.is_stale();
        }
    }
}

fn refusal(node: &settings::Node, address: &ConnectionInfo) -> String {
    let (place, remedy) = match node {
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
        "{place} {} is used by another Parlance installation, or by another copy of this one's database; \
         give this installation {remedy}",
        address.addr()
    )
}

/// Dropped with an answer that did not come.
struct Late<'a> {
    answer: Option<(&'a Lane, &'a Arc<Link>)>,
    /// From when on that is the connection's fault, and not that of a caller who left.
    from: Instant,
}

impl Drop for Late<'_> {
    fn drop(&mut self) {
        if let Some((lane, link)) = self.answer
            && Instant::now() >= self.from
        {
            lane.was_late(link);
        }
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
        tracing::warn!(%why, "redis does not answer: it is not asked until it does");
        loop {
            sleep(PROBE).await;
            let Some(tier) = tier.upgrade() else { return };
            if tier.answers().await {
                break;
            }
        }
        breaker.close();
        tracing::info!("redis answers again");
    }
}
