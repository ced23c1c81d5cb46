//! Connections: two kinds of pool behind one type, and the macros that run a query on either.

pub(crate) mod commits;
mod connect_errors;
pub(crate) mod liveness;
pub(crate) mod open;
pub(crate) mod primary;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bb8::{Pool, RunError};
use diesel_async::SimpleAsyncConnection as _;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, PoolError, PoolableConnection,
};
use parlance_domain::search::Language;
use tokio_postgres_rustls::MakeRustlsConnect;

use self::commits::Commits;
use self::connect_errors::ConnectErrors;
use self::liveness::TrackedConnection;
use self::open::{ConnectOptions, SQLITE_READER, SQLITE_WRITER, pg_pool, sqlite_pool, tls};
use crate::backend::{pg, sqlite};
use crate::error::{StorageError, StorageResult};
use crate::model::settings::{PoolStatus, Settings};
use crate::model::url::DatabaseUrl;

pub(crate) type PgManager = liveness::TrackedManager;
pub(crate) type SqliteManager = AsyncDieselConnectionManager<sqlite::Conn>;

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pools: Pools,
    /// How long the client waits for a statement on Postgres.
    answer_limit: Duration,
    pub(crate) search_language: Language,
    pub(crate) hold_after_restore: bool,
    /// A write was refused, and none has succeeded since.
    pub(crate) refused: Arc<AtomicBool>,
    pub(crate) commits: Commits,
    connect_errors: ConnectErrors,
}

#[derive(Clone)]
enum Pools {
    Pg {
        pool: Pool<PgManager>,
        /// Connections for callers that must not wait for the others.
        reserved: Pool<PgManager>,
        tls: MakeRustlsConnect,
    },
    Sqlite {
        readers: Pool<SqliteManager>,
        writer: Pool<SqliteManager>,
        /// File of the write-ahead log.
        log: PathBuf,
    },
}

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
        conn: bb8::PooledConnection<'static, PgManager>,
        tls: MakeRustlsConnect,
    },
    Sqlite(bb8::PooledConnection<'static, SqliteManager>),
}

/// Runs a query of either backend: `on!(connection, |c, q| q::message::get(c, owner, id))`.
macro_rules! on {
    ($connection:expr, |$c:ident, $q:ident| $query:expr) => {{
        let connection: &mut $crate::conn::PooledConnection = &mut $connection;
        connection.set_busy(true);
        let limit = connection.answer_limit;
        let result = match connection.conn()? {
            $crate::conn::Conn::Pg { conn, .. } => {
                use $crate::backend::pg::queries as $q;
                let $c: &mut $crate::backend::pg::Conn = &mut *conn;
                $crate::conn::liveness::answer(limit, $query).await
            }
            $crate::conn::Conn::Sqlite(conn) => {
                use $crate::backend::sqlite::queries as $q;
                let $c: &mut $crate::backend::sqlite::Conn = &mut *conn;
                $query.await
            }
        };
        connection.answered(result)
    }};
}

/// Runs a function that each backend implements itself: `on_backend!(connection, feed_now())`.
macro_rules! on_backend {
    ($connection:expr, $function:ident($($arg:expr),*)) => {{
        let connection: &mut $crate::conn::PooledConnection = &mut $connection;
        connection.set_busy(true);
        let limit = connection.answer_limit;
        let result = match connection.conn()? {
            $crate::conn::Conn::Pg { conn, .. } => {
                let statement = $crate::backend::pg::$function(&mut *conn $(, $arg)*);
                $crate::conn::liveness::answer(limit, statement).await
            }
            $crate::conn::Conn::Sqlite(conn) => $crate::backend::sqlite::$function(&mut *conn $(, $arg)*).await,
        };
        connection.answered(result)
    }};
}

/// Runs one query on a reader. Repeats it once if the connection has just died: the pool does not test a connection
/// when it hands it out, which would cost a round trip each time.
macro_rules! read {
    ($database:expr, |$c:ident, $q:ident| $query:expr) => {
        read!($database, connection, on!(connection, |$c, $q| $query))
    };
    ($database:expr, $function:ident($($arg:expr),*)) => {
        read!($database, connection, on_backend!(connection, $function($($arg),*)))
    };
    ($database:expr, $connection:ident, $run:expr) => {{
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut $connection = $database.reader().await?;
            match $run {
                Err($crate::error::StorageError::Unavailable(_)) if attempt == 1 => {}
                result => break result,
            }
        }
    }};
}

/// Size of the reserved pool: one connection, and another while the first is being cleaned up.
const RESERVED_CONNECTIONS: u32 = 2;

impl Database {
    /// Opens the pools. Connects once, so that a wrong URL is reported here.
    pub async fn open(settings: &Settings) -> StorageResult<Self> {
        let connect_errors = ConnectErrors::default();
        let pools = match &settings.url {
            DatabaseUrl::Postgres(url) => {
                let with = ConnectOptions {
                    tls: tls(settings)?,
                    losses: liveness::LossCount::default(),
                    errors: connect_errors.clone(),
                };
                let pool = pg_pool(url, settings, settings.pool_size, &with).await?;
                let reserved = pg_pool(url, settings, RESERVED_CONNECTIONS, &with).await?;
                let tls = with.tls;
                Pools::Pg {
                    pool,
                    reserved,
                    tls,
                }
            }
            DatabaseUrl::Sqlite(path) => {
                let path = path.to_string_lossy().into_owned();
                // The writer first: it switches the file to WAL mode, which a read-only connection cannot.
                let writer = sqlite_pool(&path, 1, SQLITE_WRITER, settings).await?;
                let readers =
                    sqlite_pool(&path, settings.pool_size, SQLITE_READER, settings).await?;
                let log = PathBuf::from(format!("{path}-wal"));
                Pools::Sqlite {
                    readers,
                    writer,
                    log,
                }
            }
        };
        Ok(Self {
            pools,
            answer_limit: liveness::answer_limit(settings.statement_timeout),
            search_language: settings.search_language,
            hold_after_restore: settings.hold_after_restore,
            refused: Arc::default(),
            commits: Commits::default(),
            connect_errors,
        })
    }

    /// Checks that the database answers.
    pub async fn ping(&self) -> StorageResult<()> {
        self.feed_state().await.map(|_| ())
    }

    /// Returns the same database on the reserved pool: its callers do not wait when all other connections are in use.
    /// On SQLite there is one writer, and no reserved pool.
    #[must_use]
    pub fn reserved_pool(&self) -> Self {
        let pools = match &self.pools {
            Pools::Pg { reserved, tls, .. } => Pools::Pg {
                pool: reserved.clone(),
                reserved: reserved.clone(),
                tls: tls.clone(),
            },
            Pools::Sqlite { .. } => self.pools.clone(),
        };
        Self {
            pools,
            answer_limit: self.answer_limit,
            search_language: self.search_language,
            hold_after_restore: self.hold_after_restore,
            refused: Arc::clone(&self.refused),
            commits: self.commits.clone(),
            connect_errors: self.connect_errors.clone(),
        }
    }

    /// Returns the state of all pools except the reserved one.
    pub fn pool_status(&self) -> PoolStatus {
        let states = match &self.pools {
            Pools::Pg { pool, .. } => vec![pool.state()],
            Pools::Sqlite {
                readers, writer, ..
            } => vec![readers.state(), writer.state()],
        };
        PoolStatus {
            open: states.iter().map(|s| s.connections).sum(),
            idle: states.iter().map(|s| s.idle_connections).sum(),
        }
    }

    /// Truncates the write-ahead log of SQLite if its file is larger than `bytes`; returns whether it was. SQLite
    /// checkpoints the log after every thousand pages, but restarts the file only when there is no reader, so that
    /// under constant reads the file grows without bound. This waits for the current readers, while new ones read the
    /// database file itself.
    pub async fn limit_log(&self, bytes: u64) -> StorageResult<bool> {
        let Pools::Sqlite { writer, log, .. } = &self.pools else {
            return Ok(false);
        };
        let is_larger = std::fs::metadata(log).is_ok_and(|log| log.len() > bytes);
        if !is_larger {
            return Ok(false);
        }
        let mut conn = self.checked_out(writer, |conn| !conn.is_broken()).await?;
        sqlite::empty_log(&mut conn).await?;
        Ok(true)
    }

    /// Whether all writes share one connection (SQLite).
    pub const fn has_one_writer(&self) -> bool {
        matches!(self.pools, Pools::Sqlite { .. })
    }

    fn pooled(&self, conn: Conn, transaction: Transaction) -> PooledConnection {
        PooledConnection {
            conn: Some(conn),
            busy: false,
            transaction,
            refused: Arc::clone(&self.refused),
            failed: false,
            closed: false,
            answer_limit: self.answer_limit,
        }
    }

    /// Takes a connection for one read.
    pub(crate) async fn reader(&self) -> StorageResult<PooledConnection> {
        let conn = match &self.pools {
            Pools::Pg { pool, tls, .. } => Conn::Pg {
                conn: self.checked_out(pool, TrackedConnection::is_usable).await?,
                tls: tls.clone(),
            },
            Pools::Sqlite { readers, .. } => {
                Conn::Sqlite(self.checked_out(readers, |conn| !conn.is_broken()).await?)
            }
        };
        Ok(self.pooled(conn, Transaction::Closed))
    }

    /// Takes a connection in a transaction in which all statements read one snapshot. The caller rolls it back.
    pub(crate) async fn snapshot(&self) -> StorageResult<PooledConnection> {
        let mut connection = self.reader().await?;
        connection.transaction = Transaction::InTransition;
        on_backend!(connection, begin_snapshot())?;
        connection.transaction = Transaction::Open;
        Ok(connection)
    }

    /// Takes a connection in a new transaction.
    pub(crate) async fn writer(&self) -> StorageResult<PooledConnection> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let conn = match &self.pools {
                Pools::Pg { pool, tls, .. } => Conn::Pg {
                    conn: self.checked_out(pool, TrackedConnection::is_usable).await?,
                    tls: tls.clone(),
                },
                Pools::Sqlite { writer, .. } => {
                    Conn::Sqlite(self.checked_out(writer, |conn| !conn.is_broken()).await?)
                }
            };
            let mut connection = self.pooled(conn, Transaction::InTransition);
            match on_backend!(connection, begin()) {
                Err(StorageError::Unavailable(_)) if attempt == 1 => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    connection.transaction = Transaction::Open;
                    return Ok(connection);
                }
            }
        }
    }
}

impl Database {
    async fn checked_out<M>(
        &self,
        pool: &Pool<M>,
        is_usable: impl Fn(&mut M::Connection) -> bool,
    ) -> StorageResult<bb8::PooledConnection<'static, M>>
    where
        M: bb8::ManageConnection<Error = PoolError>,
    {
        loop {
            let mut conn = pool.get_owned().await.map_err(|error| match error {
                RunError::TimedOut => {
                    StorageError::Unavailable(self.connect_errors.no_connection())
                }
                RunError::User(error) => StorageError::Unavailable(error.to_string()),
            })?;
            // After a restart of the server all idle connections are dead. The driver has noticed the end of some of
            // them, which costs no query; the pool closes them when they are returned.
            if is_usable(&mut conn) {
                return Ok(conn);
            }
        }
    }
}

impl PooledConnection {
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
