//! Connections to one server.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{AsyncConnectionConfig, ConnectionInfo};
use deadpool_redis::{Manager, Pool, Runtime};
use futures_util::future::join_all;

use super::settings::BadSettings;
use super::shared_connection::SharedConnection;
use crate::key::Key;
use crate::ledger::RemoteId;
use crate::remote::Fault;

/// Requests that are queued on a connection; further requests wait before the queue.
const QUEUED_REQUESTS: usize = 1024;

/// Connections to one node.
pub(super) struct NodeConnections {
    connections: Vec<Arc<SharedConnection>>,
}

impl NodeConnections {
    /// Starts to connect. Must be called within a runtime.
    pub(super) fn new(address: ConnectionInfo, connections: usize) -> Result<Self, BadSettings> {
        // This module applies its own time-outs to requests and to opening.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(QUEUED_REQUESTS);
        let manager = Manager::new_with_config(address, config).map_err(|_| BadSettings::Url)?;
        let connections = connections.max(1);
        let pool = Pool::builder(manager)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| BadSettings::Url)?;
        let opened = (0..connections).map(|_| Arc::new(SharedConnection::new(pool.clone())));
        Ok(Self {
            connections: opened.collect(),
        })
    }

    /// Returns the connection of a key, which is always the same.
    pub(super) fn connection(&self, key: Key) -> Result<&Arc<SharedConnection>, Fault> {
        // Computed from random bits of the id, so a conversation and its list use the same connection.
        let count = u128::try_from(self.connections.len()).unwrap_or(1);
        let index = usize::try_from((key.id() ^ (key.id() >> 17)) % count).unwrap_or(0);
        self.connections.get(index).ok_or(Fault::Slow)
    }

    /// Returns any connection.
    pub(super) fn any(&self) -> Result<&Arc<SharedConnection>, Fault> {
        self.connections.first().ok_or(Fault::Slow)
    }

    pub(super) fn is_up(&self) -> bool {
        self.connections.iter().all(|connection| connection.is_up())
    }

    /// Queries the identity of the process on each connection: after a failover some may still lead to the old process.
    pub(super) async fn process(&self) -> Result<RemoteId, Fault> {
        let asked = join_all(
            self.connections
                .iter()
                .map(|connection| connection.process()),
        )
        .await;
        let mut answers = asked.into_iter().collect::<Result<Vec<_>, _>>()?;
        answers.dedup();
        if let (Some(process), true) = (answers.pop(), answers.is_empty()) {
            return Ok(process);
        }
        for connection in &self.connections {
            if let Ok(open_connection) = connection.get().await {
                connection.replace(&open_connection);
            }
        }
        Err(Fault::Elsewhere)
    }

    /// Whether the server answers in time on every connection.
    pub(super) async fn probe(&self, within: Duration) -> bool {
        let asked = join_all(
            self.connections
                .iter()
                .map(|connection| connection.probe(within)),
        )
        .await;
        asked.into_iter().all(|answers| answers)
    }
}
