//! How a connection to Postgres is found dead that ends without a word: its packets are dropped, and nothing resets it.
//!
//! The kernel finds one whose packets are not acknowledged. A proxy or a firewall may acknowledge what it then drops, so each
//! call is bounded here, too.

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

/// How much longer than its own limit the server may take to say that a statement ran into it.
const MARGIN: Duration = Duration::from_secs(1);

/// An idle connection is asked for a sign of life after this, so often, and so many times.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;

/// How long a client waits for the answer to one call of this crate.
pub(crate) const fn answer_limit(statement_timeout: Duration) -> Duration {
    statement_timeout.saturating_add(MARGIN)
}

/// A URL as the driver takes it, with time-outs of the transport where the URL names none.
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

/// Waits for an answer until the limit. After it the connection counts as closed: whatever it still says would be taken for the
/// answer to the next statement.
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

/// Whether an error ends the connection that it came by.
pub(crate) const fn is_closed<T>(result: &QueryResult<T>) -> bool {
    matches!(
        result,
        Err(DieselError::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
            _
        ))
    )
}

/// How many connections have ended without a word; one count for all pools of a database.
pub(crate) type Losses = Arc<AtomicU64>;

/// A connection of a pool, which knows how many others had been lost when it was made.
pub(crate) struct Dated {
    conn: pg::Conn,
    losses: Losses,
    lost_before: u64,
}

impl Dated {
    /// Counts this one as lost. The pool closes it, and the server then rolls back what was open.
    pub(crate) fn lose(&mut self) {
        self.losses.fetch_add(1, Ordering::Relaxed);
        pg::distrust(&mut self.conn);
    }

    /// Whether it may be used; if not, the pool closes it. One that was made before another was lost may not: most likely it went
    /// the same way, and a new one costs less than finding that out by one caller after the other.
    pub(crate) fn is_usable(&mut self) -> bool {
        if self.losses.load(Ordering::Relaxed) != self.lost_before {
            pg::distrust(&mut self.conn);
        }
        !self.conn.is_broken()
    }
}

impl Deref for Dated {
    type Target = pg::Conn;

    fn deref(&self) -> &pg::Conn {
        &self.conn
    }
}

impl DerefMut for Dated {
    fn deref_mut(&mut self) -> &mut pg::Conn {
        &mut self.conn
    }
}

/// Makes the connections of a pool.
pub(crate) struct DatedManager {
    manager: AsyncDieselConnectionManager<pg::Conn>,
    losses: Losses,
}

impl DatedManager {
    pub(crate) const fn new(
        manager: AsyncDieselConnectionManager<pg::Conn>,
        losses: Losses,
    ) -> Self {
        Self { manager, losses }
    }
}

impl bb8::ManageConnection for DatedManager {
    type Connection = Dated;
    type Error = PoolError;

    async fn connect(&self) -> Result<Dated, PoolError> {
        let lost_before = self.losses.load(Ordering::Relaxed);
        Ok(Dated {
            conn: self.manager.connect().await?,
            losses: Arc::clone(&self.losses),
            lost_before,
        })
    }

    async fn is_valid(&self, conn: &mut Dated) -> Result<(), PoolError> {
        self.manager.is_valid(&mut conn.conn).await
    }

    fn has_broken(&self, conn: &mut Dated) -> bool {
        self.manager.has_broken(&mut conn.conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_url_win() {
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
