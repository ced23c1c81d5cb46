//! One server and the connections to it.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{AsyncConnectionConfig, ConnectionInfo};
use deadpool_redis::{Manager, Pool, Runtime};
use futures_util::future::join_all;

use super::settings::BadSettings;
use super::shared_connection::Lane;
use crate::key::Key;
use crate::ledger::RemoteId;
use crate::remote::Fault;

/// Requests that wait for their turn on a connection; more wait outside.
const QUEUE: usize = 1024;

pub(super) struct Node {
    lanes: Vec<Arc<Lane>>,
}

impl Node {
    /// Needs a runtime around it.
    pub(super) fn new(address: ConnectionInfo, connections: usize) -> Result<Self, BadSettings> {
        // The time of a request is ours to keep; that of opening too.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let manager = Manager::new_with_config(address, config).map_err(|_| BadSettings::Url)?;
        let connections = connections.max(1);
        let pool = Pool::builder(manager)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| BadSettings::Url)?;
        let lanes = (0..connections).map(|_| Arc::new(Lane::new(pool.clone())));
        Ok(Self {
            lanes: lanes.collect(),
        })
    }

    /// Always the same for a key.
    pub(super) fn lane(&self, key: Key) -> Result<&Arc<Lane>, Fault> {
        // Of the random bits of an id, the same for a conversation and its list.
        let lanes = u128::try_from(self.lanes.len()).unwrap_or(1);
        let index = usize::try_from((key.id() ^ (key.id() >> 17)) % lanes).unwrap_or(0);
        self.lanes.get(index).ok_or(Fault::Slow)
    }

    /// Any of them.
    pub(super) fn any(&self) -> Result<&Arc<Lane>, Fault> {
        self.lanes.first().ok_or(Fault::Slow)
    }

    pub(super) fn is_up(&self) -> bool {
        self.lanes.iter().all(|lane| lane.is_up())
    }

    /// Which process answers, asked anew over each connection: after a failover some may still lead to the old one.
    pub(super) async fn process(&self) -> Result<RemoteId, Fault> {
        let asked = join_all(self.lanes.iter().map(|lane| lane.process())).await;
        let mut answers = asked.into_iter().collect::<Result<Vec<_>, _>>()?;
        answers.dedup();
        if let (Some(process), true) = (answers.pop(), answers.is_empty()) {
            return Ok(process);
        }
        for lane in &self.lanes {
            if let Ok(link) = lane.link().await {
                lane.replace(&link);
            }
        }
        Err(Fault::Elsewhere)
    }

    /// Whether it answers in time, over each connection.
    pub(super) async fn probe(&self, within: Duration) -> bool {
        let asked = join_all(self.lanes.iter().map(|lane| lane.probe(within))).await;
        asked.into_iter().all(|answers| answers)
    }
}
