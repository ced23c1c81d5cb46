//! A connection of either backend, with the state of its transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::liveness::{self, TrackedManager};
use super::open::SqliteManager;
use crate::backend::{pg, sqlite};
use crate::error::{StorageError, StorageResult};

/// Pooled database connection with the state of its transaction.
pub(crate) struct PooledConnection {
    conn: Option<Conn>,
    /// A statement was sent and not yet answered.
    busy: bool,
    transaction: Transaction,
    refused: Arc<AtomicBool>,
    /// A statement failed. Postgres answers a later COMMIT with a rollback and no error, so it must not be sent.
    failed: bool,
    /// The connection has ended, or did not answer in time.
    closed: bool,
    /// How long a statement may take.
    pub(crate) answer_limit: Duration,
}

/// State of a connection between BEGIN and the end of the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    Closed,
    /// BEGIN, COMMIT or ROLLBACK was sent and not yet answered.
    InTransition,
    Open,
}

/// Connection of either backend.
#[expect(
    clippy::large_enum_variant,
    reason = "moved once per loan; a box would cost an allocation each time"
)]
pub(crate) enum Conn {
    Pg {
        conn: bb8::PooledConnection<'static, TrackedManager>,
        tls: MakeRustlsConnect,
    },
    Sqlite(bb8::PooledConnection<'static, SqliteManager>),
}

impl PooledConnection {
    /// Takes a connection on which no transaction is open.
    pub(super) fn new(conn: Conn, refused: Arc<AtomicBool>, answer_limit: Duration) -> Self {
        Self {
            conn: Some(conn),
            busy: false,
            transaction: Transaction::Closed,
            refused,
            failed: false,
            closed: false,
            answer_limit,
        }
    }

    pub(crate) fn conn(&mut self) -> StorageResult<&mut Conn> {
        self.conn.as_mut().ok_or_else(|| {
            StorageError::Unavailable("connection was already returned to its pool".to_owned())
        })
    }

    pub(crate) const fn set_busy(&mut self, busy: bool) {
        self.busy = busy;
    }

    pub(crate) fn answered<T>(&mut self, result: diesel::QueryResult<T>) -> StorageResult<T> {
        self.busy = false;
        self.closed |= liveness::is_closed(&result);
        result.map_err(|error| {
            self.failed = true;
            let error = StorageError::from(error);
            if matches!(error, StorageError::WritesRefused(_)) {
                self.refused.store(true, Ordering::Relaxed);
            }
            error
        })
    }

    /// Whether a statement failed, so that the transaction can only be rolled back.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// Begins a transaction.
    pub(super) async fn begin(&mut self) -> StorageResult<()> {
        self.transaction = Transaction::InTransition;
        on_backend!(*self, begin())?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    /// Begins a transaction in which all statements read the snapshot of the first.
    pub(super) async fn begin_snapshot(&mut self) -> StorageResult<()> {
        self.transaction = Transaction::InTransition;
        on_backend!(*self, begin_snapshot())?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    /// Commits the transaction, unless one of its statements failed.
    pub(crate) async fn commit(mut self) -> StorageResult<()> {
        if self.failed {
            self.rollback().await?;
            return Err(StorageError::Driver(
                diesel::result::Error::RollbackTransaction,
            ));
        }
        self.transaction = Transaction::InTransition;
        let result = on_backend!(self, commit());
        self.transaction = Transaction::Closed;
        result
    }

    /// Rolls the transaction back.
    pub(crate) async fn rollback(mut self) -> StorageResult<()> {
        self.transaction = Transaction::InTransition;
        let result = on_backend!(self, rollback());
        self.transaction = Transaction::Closed;
        result
    }
}

impl Drop for PooledConnection {
    /// Handles a caller that stopped in the middle: a task cancels the running statement and rolls back the open
    /// transaction. An idle connection goes straight back to its pool.
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else {
            return;
        };
        if self.closed
            && let Conn::Pg { conn, .. } = &mut conn
        {
            conn.mark_lost();
            return;
        }
        let (busy, transaction) = (self.busy, self.transaction);
        let clean = !busy && transaction == Transaction::Closed;
        if !clean && tokio::runtime::Handle::try_current().is_ok() {
            tokio::spawn(clean_up(conn, busy, transaction));
        }
    }
}

/// How long the clean-up of an abandoned connection may take before the connection is closed.
const CLEAN_UP_TIMEOUT: Duration = Duration::from_secs(2);

async fn clean_up(conn: Conn, busy: bool, transaction: Transaction) {
    let result = match conn {
        Conn::Pg { mut conn, tls } => {
            let work = clean_up_pg(&mut conn, tls, busy, transaction);
            let in_time = tokio::time::timeout(CLEAN_UP_TIMEOUT, work).await;
            let result = in_time.unwrap_or(Err(diesel::result::Error::RollbackTransaction));
            if result.is_err() {
                pg::distrust(&mut conn);
            }
            result
        }
        // A statement of SQLite cannot be cancelled; dropping its future has waited for it.
        Conn::Sqlite(_) if transaction == Transaction::Closed => Ok(()),
        Conn::Sqlite(mut conn) => sqlite::rollback(&mut conn).await,
    };
    if let Err(error) = result {
        tracing::debug!(%error, "cannot clean up an abandoned connection; it is closed");
    }
}

async fn clean_up_pg(
    conn: &mut pg::Conn,
    tls: MakeRustlsConnect,
    busy: bool,
    transaction: Transaction,
) -> diesel::QueryResult<()> {
    if transaction == Transaction::InTransition {
        // The driver does not know whether a transaction is open, and refuses to go on.
        return Err(diesel::result::Error::BrokenTransactionManager);
    }
    if busy {
        // The answer says only that the cancel request was delivered; the next statement waits for its effect.
        let _ = conn.cancel_token().cancel_query(tls).await;
    }
    if transaction == Transaction::Open {
        pg::rollback(conn).await
    } else {
        conn.batch_execute("SELECT 1").await
    }
}
