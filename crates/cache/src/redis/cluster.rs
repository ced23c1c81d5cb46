//! Which node of a cluster is in charge of a key.
//!
//! The client's own cluster connection reconnects and follows redirections by itself, so that nobody knows to which process a
//! request went in the end. Here each node has its lanes, which know; a redirection is an error and makes the map be read anew.

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
use super::node::Node;
use super::slot::{SLOTS, slot};
use crate::ledger::RemoteId;
use crate::remote::Fault;

/// How long a node may take to tell the map.
const TELLING: Duration = Duration::from_millis(500);
/// The map is read at most so often.
const PAUSE: Duration = Duration::from_millis(100);

/// The slots of each master, by its address.
type Ranges = Vec<(u16, u16, (String, u16))>;

#[derive(Default)]
pub(super) struct Map {
    nodes: HashMap<(String, u16), Arc<Node>>,
    slots: Vec<Option<Arc<Node>>>,
}

impl Map {
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    fn node(&self, name: &str) -> Result<Arc<Node>, Fault> {
        let index = usize::from(slot(name.as_bytes()));
        self.slots
            .get(index)
            .and_then(Clone::clone)
            .ok_or_else(|| Fault::Refused("no node is in charge of its slot".to_owned()))
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
    /// One refresh at a time; the last one's answer is the newest.
    reading: tokio::sync::Mutex<()>,
}

impl Cluster {
    pub(super) fn new(seeds: Vec<ConnectionInfo>, connections: usize) -> Self {
        Self {
            seeds,
            connections,
            state: watch::Sender::new(State::Unknown),
            stale: Notify::new(),
            reading: tokio::sync::Mutex::new(()),
        }
    }

    /// Some node was not, or no longer, in charge, or does not answer.
    pub(super) fn is_stale(&self) {
        self.stale.notify_one();
    }

    /// Reads the map whenever it is stale, and until it is known.
    pub(super) async fn keep(&self) {
        loop {
            if let Err(fault) = self.refresh().await {
                tracing::debug!(%fault, "no map of the redis cluster");
                self.stale.notify_one();
            }
            sleep(PAUSE).await;
            self.stale.notified().await;
        }
    }

    /// The map; waits until the first one is known or has failed to be read.
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

    /// The node in charge of the key of this name.
    pub(super) async fn node(&self, name: &str) -> Result<Arc<Node>, Fault> {
        let node = self.map().await?.node(name);
        // A map that was read while the cluster was formed has gaps.
        node.inspect_err(|_| self.is_stale())
    }

    /// Which processes answer, asked anew: who the masters are, and then each of them.
    pub(super) async fn process(&self) -> Result<RemoteId, Fault> {
        let map = self.refresh().await?;
        let asked = join_all(map.nodes().map(|node| node.process())).await;
        let mut processes = asked.into_iter().collect::<Result<Vec<_>, _>>()?;
        processes.sort_unstable();
        Ok(processes.join(",").into())
    }

    async fn refresh(&self) -> Result<Arc<Map>, Fault> {
        let _turn = self.reading.lock().await;
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

    /// From the first node that answers: those known first, then the seeds.
    async fn read(&self, old: Option<&Map>) -> Result<Map, Fault> {
        let mut failed = Fault::Slow;
        for (address, node) in old.iter().flat_map(|map| &map.nodes) {
            let asked = async {
                let link = node.any()?.link().await?;
                ranges(&mut link.connection(), &address.0).await
            };
            match timeout(TELLING, asked).await.unwrap_or(Err(Fault::Slow)) {
                Ok(ranges) => return self.build(old, ranges),
                Err(fault) => failed = fault,
            }
        }
        for seed in &self.seeds {
            match timeout(TELLING, ask_seed(seed))
                .await
                .unwrap_or(Err(Fault::Slow))
            {
                Ok(ranges) => return self.build(old, ranges),
                Err(fault) => failed = fault,
            }
        }
        Err(failed)
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
            let places = map.slots.get_mut(usize::from(first)..=usize::from(last));
            for place in places.into_iter().flatten() {
                *place = Some(Arc::clone(&node));
            }
            map.nodes.insert(address, node);
        }
        if map.nodes.is_empty() {
            return Err(Fault::Refused("the cluster has no slots yet".to_owned()));
        }
        Ok(map)
    }

    /// As to the first seed, but elsewhere.
    fn connect(&self, (host, port): &(String, u16)) -> Result<Node, Fault> {
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
        Node::new(seed.clone().set_addr(address), self.connections).map_err(|_| unknown())
    }
}

async fn ask_seed(seed: &ConnectionInfo) -> Result<Ranges, Fault> {
    // Settings with another kind of address are refused.
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

/// What a node says of the slots, each with its master's address; a node that does not know its own is where it was asked.
async fn ranges(connection: &mut MultiplexedConnection, asked: &str) -> Result<Ranges, Fault> {
    let answer: RedisResult<Vec<Vec<Value>>> =
        cmd("CLUSTER").arg("SLOTS").query_async(connection).await;
    let ranges: Option<Ranges> = answer
        .map_err(|e| fault(&e))?
        .into_iter()
        .map(|row| range(row, asked))
        .collect();
    ranges.ok_or_else(|| Fault::Refused("a map of the cluster that is unlike any".to_owned()))
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
