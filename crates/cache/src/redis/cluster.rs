//! Slot map of a Redis Cluster: which node serves a key.
//!
//! The client library's cluster connection reconnects and follows redirections by itself, so a caller cannot know which process
//! executed a request. Here each node has its own connections, which know their process. A redirection is an error, and the map
//! is read again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    Client, ConnectionAddr, ConnectionInfo, RedisResult, Value, cmd, from_redis_value,
};
use futures_util::future::join_all;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::fault::fault;
use super::node::NodeConnections;
use super::slot::{SLOTS, slot};
use crate::ledger::RemoteId;
use crate::remote::Fault;

/// Time-out of reading the map from a node.
const MAP_TIMEOUT: Duration = Duration::from_millis(500);
/// Shortest time between two reads of the map.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);

/// Ranges of slots with the address of their master.
type Ranges = Vec<(u16, u16, (String, u16))>;

#[derive(Default)]
pub(super) struct Map {
    nodes: HashMap<(String, u16), Arc<NodeConnections>>,
    slots: Vec<Option<Arc<NodeConnections>>>,
}

impl Map {
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<NodeConnections>> {
        self.nodes.values()
    }

    fn node(&self, name: &str) -> Result<Arc<NodeConnections>, Fault> {
        let index = usize::from(slot(name.as_bytes()));
        self.slots
            .get(index)
            .and_then(Clone::clone)
            .ok_or_else(|| Fault::Refused("no node serves the slot of the key".to_owned()))
    }
}

#[derive(Clone)]
enum State {
    Unknown,
    Known(Arc<Map>),
    Failed(Fault),
}

pub(super) struct Cluster {
    seeds: Vec<ConnectionInfo>,
    connections: usize,
    state: watch::Sender<State>,
    stale: Notify,
    /// Serializes refreshes, so that the last answer is the newest.
    refreshing: tokio::sync::Mutex<()>,
}

impl Cluster {
    pub(super) fn new(seeds: Vec<ConnectionInfo>, connections: usize) -> Self {
        Self {
            seeds,
            connections,
            state: watch::Sender::new(State::Unknown),
            stale: Notify::new(),
            refreshing: tokio::sync::Mutex::new(()),
        }
    }

    /// Requests a refresh: a node did not serve a key, or does not answer.
    pub(super) fn mark_stale(&self) {
        self.stale.notify_one();
    }

    /// Refreshes the map whenever it is stale, and retries until it is known.
    pub(super) async fn keep(&self) {
        loop {
            if let Err(fault) = self.refresh().await {
                tracing::debug!(%fault, "reading the map of the redis cluster failed");
                self.stale.notify_one();
            }
            sleep(REFRESH_PAUSE).await;
            self.stale.notified().await;
        }
    }

    /// Returns the map; waits until the first read has succeeded or failed.
    pub(super) async fn map(&self) -> Result<Arc<Map>, Fault> {
        if let State::Known(map) = &*self.state.borrow() {
            return Ok(Arc::clone(map));
        }
        let mut state = self.state.subscribe();
        let known = state.wait_for(|state| !matches!(state, State::Unknown));
        match known.await.as_deref() {
            Ok(State::Known(map)) => Ok(Arc::clone(map)),
            Ok(State::Failed(fault)) => Err(fault.clone()),
            Ok(State::Unknown) | Err(_) => Err(Fault::Slow),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        match &*self.state.borrow() {
            State::Known(map) => map.nodes().all(|node| node.is_up()),
            State::Unknown | State::Failed(_) => false,
        }
    }

    /// Returns the node that serves the key of this name.
    pub(super) async fn node(&self, name: &str) -> Result<Arc<NodeConnections>, Fault> {
        let node = self.map().await?.node(name);
        // A map that was read while the cluster was being formed has gaps.
        node.inspect_err(|_| self.mark_stale())
    }

    /// Queries the identity of the cluster: the present masters, and then the process of each.
    pub(super) async fn process(&self) -> Result<RemoteId, Fault> {
        let map = self.refresh().await?;
        let asked = join_all(map.nodes().map(|node| node.process())).await;
        let mut processes = asked.into_iter().collect::<Result<Vec<_>, _>>()?;
        processes.sort_unstable();
        Ok(processes.join(",").into())
    }

    async fn refresh(&self) -> Result<Arc<Map>, Fault> {
        let _guard = self.refreshing.lock().await;
        let old = match &*self.state.borrow() {
            State::Known(map) => Some(Arc::clone(map)),
            State::Unknown | State::Failed(_) => None,
        };
        match self.read(old.as_deref()).await {
            Ok(map) => {
                let map = Arc::new(map);
                self.state.send_replace(State::Known(Arc::clone(&map)));
                Ok(map)
            }
            Err(fault) => {
                if old.is_none() {
                    self.state.send_replace(State::Failed(fault.clone()));
                }
                Err(fault)
            }
        }
    }

    /// Reads the map from the first node that answers: known nodes first, then the seeds.
    async fn read(&self, old: Option<&Map>) -> Result<Map, Fault> {
        let mut last_fault = Fault::Slow;
        for (address, node) in old.iter().flat_map(|map| &map.nodes) {
            let asked = async {
                let open_connection = node.any()?.get().await?;
                ranges(&mut open_connection.connection(), &address.0).await
            };
            match timeout(MAP_TIMEOUT, asked)
                .await
                .unwrap_or(Err(Fault::Slow))
            {
                Ok(ranges) => return self.build(old, ranges),
                Err(fault) => last_fault = fault,
            }
        }
        for seed in &self.seeds {
            match timeout(MAP_TIMEOUT, ask_seed(seed))
                .await
                .unwrap_or(Err(Fault::Slow))
            {
                Ok(ranges) => return self.build(old, ranges),
                Err(fault) => last_fault = fault,
            }
        }
        Err(last_fault)
    }

    fn build(&self, old: Option<&Map>, ranges: Ranges) -> Result<Map, Fault> {
        let mut map = Map {
            nodes: HashMap::new(),
            slots: vec![None; usize::from(SLOTS)],
        };
        for (first, last, address) in ranges {
            let known = map.nodes.get(&address);
            let known = known.or_else(|| old.and_then(|old| old.nodes.get(&address)));
            let node = match known {
                Some(node) => Arc::clone(node),
                None => Arc::new(self.connect(&address)?),
            };
            let entries = map.slots.get_mut(usize::from(first)..=usize::from(last));
            for entry in entries.into_iter().flatten() {
                *entry = Some(Arc::clone(&node));
            }
            map.nodes.insert(address, node);
        }
        if map.nodes.is_empty() {
            return Err(Fault::Refused("the cluster has no slots yet".to_owned()));
        }
        Ok(map)
    }

    /// Connects to a node with the settings of the first seed.
    fn connect(&self, (host, port): &(String, u16)) -> Result<NodeConnections, Fault> {
        let unknown = || Fault::Away("no address".to_owned());
        let seed = self.seeds.first().ok_or_else(unknown)?;
        let mut address = seed.addr().clone();
        if let ConnectionAddr::Tcp(h, p)
        | ConnectionAddr::TcpTls {
            host: h, port: p, ..
        } = &mut address
        {
            h.clone_from(host);
            *p = *port;
        }
        NodeConnections::new(seed.clone().set_addr(address), self.connections)
            .map_err(|_| unknown())
    }
}

async fn ask_seed(seed: &ConnectionInfo) -> Result<Ranges, Fault> {
    // Settings with another kind of address were rejected before.
    let host =
        if let ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } = seed.addr() {
            host.as_str()
        } else {
            ""
        };
    let client = Client::open(seed.clone()).map_err(|e| fault(&e))?;
    let connection = client.get_multiplexed_async_connection().await;
    ranges(&mut connection.map_err(|e| fault(&e))?, host).await
}

/// Reads the ranges of slots from a node. A node that does not know its own address is reported under the address that was used.
async fn ranges(connection: &mut MultiplexedConnection, asked: &str) -> Result<Ranges, Fault> {
    let answer: RedisResult<Vec<Vec<Value>>> =
        cmd("CLUSTER").arg("SLOTS").query_async(connection).await;
    let ranges: Option<Ranges> = answer
        .map_err(|e| fault(&e))?
        .into_iter()
        .map(|row| range(row, asked))
        .collect();
    ranges.ok_or_else(|| Fault::Refused("unexpected answer to CLUSTER SLOTS".to_owned()))
}

fn range(row: Vec<Value>, asked: &str) -> Option<(u16, u16, (String, u16))> {
    let mut row = row.into_iter();
    let first: u16 = from_redis_value(row.next()?).ok()?;
    let last: u16 = from_redis_value(row.next()?).ok()?;
    let master: Vec<Value> = from_redis_value(row.next()?).ok()?;
    let mut master = master.into_iter();
    let host: Option<String> = from_redis_value(master.next()?).ok()?;
    let port: u16 = from_redis_value(master.next()?).ok()?;
    let host = host.filter(|host| !host.is_empty() && host != "?");
    Some((
        first,
        last,
        (host.unwrap_or_else(|| asked.to_owned()), port),
    ))
}
