//! Detects a connection to Postgres that died silently: its packets are dropped and no reset arrives.
//!
//! The kernel detects a connection when its packets are not acknowledged. A proxy or a firewall may acknowledge packets
//! that it then drops, so each call is bounded here too.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::result::{DatabaseErrorKind, Error as DieselError, QueryResult};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, PoolError, PoolableConnection as _,
};
use tokio_postgres::Config;

use crate::backend::pg;
use crate::error::{StorageError, StorageResult};

/// Time beyond the statement timeout that the server may take to report that a statement hit it.
const MARGIN: Duration = Duration::from_secs(1);

/// TCP keepalive of an idle connection: idle time, interval and number of probes.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;

/// Returns how long a client waits for the answer to one call of this crate.
pub(crate) const fn answer_limit(statement_timeout: Duration) -> Duration {
    statement_timeout.saturating_add(MARGIN)
}

/// Parses a URL for the driver and sets the TCP time-outs that it does not set itself.
pub(crate) fn config(url: &str, statement_timeout: Duration) -> StorageResult<Config> {
    let mut config: Config = url
        .parse()
        .map_err(|e: tokio_postgres::Error| StorageError::Unavailable(e.to_string()))?;
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(answer_limit(statement_timeout));
    }
    if config.get_keepalives_idle() == Config::new().get_keepalives_idle() {
        config.keepalives_idle(KEEPALIVE_IDLE);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(KEEPALIVE_INTERVAL);
    }
    if config.get_keepalives_retries().is_none() {
        config.keepalives_retries(KEEPALIVE_RETRIES);
    }
    Ok(config)
}

/// Waits for an answer until the limit. After the limit the connection counts as closed: a late answer would be taken
/// for the answer to the next statement.
pub(crate) async fn answer<T>(
    limit: Duration,
    statement: impl Future<Output = QueryResult<T>>,
) -> QueryResult<T> {
    tokio::time::timeout(limit, statement)
        .await
        .unwrap_or_else(|_| {
            let message = format!("no answer within {limit:?}; its connection is closed");
            Err(DieselError::DatabaseError(
                DatabaseErrorKind::ClosedConnection,
                Box::new(message),
            ))
        })
}

/// Whether an error means that its connection has ended.
pub(crate) const fn is_closed<T>(result: &QueryResult<T>) -> bool {
    matches!(
        result,
        Err(DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
            _
        ))
    )
}

/// Count of connections that died silently; one count for all pools of a database.
pub(crate) type LossCount = Arc<AtomicU64>;

/// Pooled Postgres connection with the number of connections that had been lost before it was opened.
pub(crate) struct TrackedConnection {
    conn: pg::Conn,
    losses: LossCount,
    lost_before: u64,
}

impl TrackedConnection {
    /// Counts this connection as lost. The pool closes it, and the server then rolls back its open transaction.
    pub(crate) fn mark_lost(&mut self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
        pg::distrust(&mut self.conn);
    }

    /// Whether the connection may be used; if not, the pool closes it. A connection that was opened before another was
    /// lost is not used: it most likely died in the same way, and opening a new one costs less than letting one caller
    /// after the other run into the limit.
    pub(crate) fn is_usable(&mut self) -> bool {
        if self.losses.load(Ordering::Relaxed) != self.lost_before {
            pg::distrust(&mut self.conn);
        }
        !self.conn.is_broken()
    }
}

impl Deref for TrackedConnection {
    type Target = pg::Conn;

    fn deref(&self) -> &pg::Conn {
        &self.conn
    }
}

impl DerefMut for TrackedConnection {
    fn deref_mut(&mut self) -> &mut pg::Conn {
        &mut self.conn
    }
}

/// Opens the connections of a pool.
pub(crate) struct TrackedManager {
    manager: AsyncDieselConnectionManager<pg::Conn>,
    losses: LossCount,
}

impl TrackedManager {
    pub(crate) const fn new(
        manager: AsyncDieselConnectionManager<pg::Conn>,
        losses: LossCount,
    ) -> Self {
        Self { manager, losses }
    }
}

impl bb8::ManageConnection for TrackedManager {
    type Connection = TrackedConnection;
    type Error = PoolError;

    async fn connect(&self) -> Result<TrackedConnection, PoolError> {
        let lost_before = self.losses.load(Ordering::Relaxed);
        Ok(TrackedConnection {
            conn: self.manager.connect().await?,
            losses: Arc::clone(&self.losses),
            lost_before,
        })
    }

    async fn is_valid(&self, conn: &mut TrackedConnection) -> Result<(), PoolError> {
        self.manager.is_valid(&mut conn.conn).await
    }

    fn has_broken(&self, conn: &mut TrackedConnection) -> bool {
        self.manager.has_broken(&mut conn.conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_url_take_precedence() {
        let timeout = Duration::from_secs(5);
        let ours = config("postgres://h/d", timeout).unwrap();
        assert_eq!(ours.get_tcp_user_timeout(), Some(&Duration::from_secs(6)));
        assert_eq!(ours.get_keepalives_idle(), KEEPALIVE_IDLE);
        assert_eq!(ours.get_keepalives_interval(), Some(KEEPALIVE_INTERVAL));
        assert_eq!(ours.get_keepalives_retries(), Some(KEEPALIVE_RETRIES));
        let url = "postgres://h/d?tcp_user_timeout=60&keepalives_idle=61&keepalives_interval=62&keepalives_retries=63";
        let theirs = config(url, timeout).unwrap();
        assert_eq!(theirs.get_tcp_user_timeout(), Some(&Duration::from_mins(1)));
        assert_eq!(theirs.get_keepalives_idle(), Duration::from_secs(61));
        assert_eq!(
            theirs.get_keepalives_interval(),
            Some(Duration::from_secs(62))
        );
        assert_eq!(theirs.get_keepalives_retries(), Some(63));
    }
}
