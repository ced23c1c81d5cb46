//! Connections: two kinds of pool behind one type, and the macros that run a query on either.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bb8::{Pool, PooledConnection, RunError};
use diesel_async::SimpleAsyncConnection as _;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, PoolError, PoolableConnection,
};
use parlance_domain::search::Language;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::backend::{pg, sqlite};
use crate::commits::Commits;
use crate::connect_errors::ConnectErrors;
use crate::error::{StorageError, StorageResult};
use crate::liveness::{self, Dated};
use crate::open::{Connecting, SQLITE_READER, SQLITE_WRITER, pg_pool, sqlite_pool, tls};
use crate::url::DatabaseUrl;

pub(crate) type PgManager = liveness::DatedManager;
pub(crate) type SqliteManager = AsyncDieselConnectionManager<sqlite::Conn>;

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which one.
    pub url: DatabaseUrl,
    /// Most connections; on SQLite the readers (there is one writer besides).
    pub pool_size: u32,
    /// How long a caller waits for a free connection.
    pub acquire_timeout: Duration,
    /// Postgres ends a statement after this; below the 10 s that a cache fence lives.
    pub statement_timeout: Duration,
    /// A file of certificates (PEM) to trust for Postgres, besides the public ones.
    pub ca_file: Option<std::path::PathBuf>,
    /// The language that messages are searched in.
    pub search_language: Language,
    /// Whether what waits for delivery in a restored database is held until it is released.
    pub hold_after_restore: bool,
}

impl Settings {
    /// The defaults for a URL.
    pub const fn new(url: DatabaseUrl) -> Self {
        Self {
            hold_after_restore: matches!(url, DatabaseUrl::Postgres(_)),
            url,
            pool_size: 16,
            acquire_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(5),
            ca_file: None,
            search_language: Language::Simple,
        }
    }
}

/// How busy the connections are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Open connections.
    pub open: u32,
    /// Of these, idle ones.
    pub idle: u32,
}

/// An open database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pools: Pools,
    /// How long a statement on Postgres may take, as the client sees it.
    answer_limit: Duration,
    pub(crate) search_language: Language,
    pub(crate) hold_after_restore: bool,
    /// A write was refused, and none has been tried with success since.
    pub(crate) refused: Arc<AtomicBool>,
    pub(crate) commits: Commits,
    connect_errors: ConnectErrors,
}

#[derive(Clone)]
enum Pools {
    Pg {
        pool: Pool<PgManager>,
        /// For whoever must not wait for the others.
        apart: Pool<PgManager>,
        tls: MakeRustlsConnect,
    },
    Sqlite {
        readers: Pool<SqliteManager>,
        writer: Pool<SqliteManager>,
        /// The file of the write-ahead log.
        log: PathBuf,
    },
}

/// A connection on loan.
pub(crate) struct Lease {
    conn: Option<Conn>,
    /// A statement was sent and not yet answered.
    busy: bool,
    transaction: Transaction,
    refused: Arc<AtomicBool>,
    /// A statement failed. Postgres answers a later COMMIT with a rollback and no error, so it must not be sent.
    failed: bool,
    /// The connection has ended, or gave no answer in time.
    closed: bool,
    /// How long a statement may take.
    pub(crate) answer_limit: Duration,
}

/// Where a connection stands between BEGIN and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    Closed,
    /// BEGIN, COMMIT or ROLLBACK was sent and not yet answered.
    Turning,
    Open,
}

/// Either connection.
#[expect(
    clippy::large_enum_variant,
    reason = "moved once per loan; a box would cost an allocation each time"
)]
pub(crate) enum Conn {
    Pg {
        conn: PooledConnection<'static, PgManager>,
        tls: MakeRustlsConnect,
    },
    Sqlite(PooledConnection<'static, SqliteManager>),
}

/// Runs a query of either backend on a lease: `on!(lease, |c, q| q::message::get(c, owner, id))`.
macro_rules! on {
    ($lease:expr, |$c:ident, $q:ident| $query:expr) => {{
        let lease: &mut $crate::conn::Lease = &mut $lease;
        lease.set_busy(true);
        let limit = lease.answer_limit;
        let result = match lease.conn()? {
            $crate::conn::Conn::Pg { conn, .. } => {
                use $crate::backend::pg::queries as $q;
                let $c: &mut $crate::backend::pg::Conn = &mut *conn;
                $crate::liveness::answer(limit, $query).await
            }
            $crate::conn::Conn::Sqlite(conn) => {
                use $crate::backend::sqlite::queries as $q;
                let $c: &mut $crate::backend::sqlite::Conn = &mut *conn;
                $query.await
            }
        };
        lease.answered(result)
    }};
}

/// Runs a function that each backend has of its own: `on_backend!(lease, feed_now())`.
macro_rules! on_backend {
    ($lease:expr, $function:ident($($arg:expr),*)) => {{
        let lease: &mut $crate::conn::Lease = &mut $lease;
        lease.set_busy(true);
        let limit = lease.answer_limit;
        let result = match lease.conn()? {
            $crate::conn::Conn::Pg { conn, .. } => {
                let statement = $crate::backend::pg::$function(&mut *conn $(, $arg)*);
                $crate::liveness::answer(limit, statement).await
            }
            $crate::conn::Conn::Sqlite(conn) => $crate::backend::sqlite::$function(&mut *conn $(, $arg)*).await,
        };
        lease.answered(result)
    }};
}

/// Runs one query on a reader. Once more if its connection died just now: the pool does not ask a connection whether it still
/// lives, which would cost a round trip each time.
macro_rules! read {
    ($database:expr, |$c:ident, $q:ident| $query:expr) => {
        read!($database, lease, on!(lease, |$c, $q| $query))
    };
    ($database:expr, $function:ident($($arg:expr),*)) => {
        read!($database, lease, on_backend!(lease, $function($($arg),*)))
    };
    ($database:expr, $lease:ident, $run:expr) => {{
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut $lease = $database.reader().await?;
            match $run {
                Err($crate::error::StorageError::Unavailable(_)) if attempt == 1 => {}
                result => break result,
            }
        }
    }};
}

/// How many connections are apart: one, and another while the one is being cleaned up.
const APART: u32 = 2;

impl Database {
    /// Opens the pools; connects once, so that a wrong URL is found here.
    pub async fn open(settings: &Settings) -> StorageResult<Self> {
        let connect_errors = ConnectErrors::default();
        let pools = match &settings.url {
            DatabaseUrl::Postgres(url) => {
                let with = Connecting {
                    tls: tls(settings)?,
                    losses: liveness::Losses::default(),
                    errors: connect_errors.clone(),
                };
                let pool = pg_pool(url, settings, settings.pool_size, &with).await?;
                let apart = pg_pool(url, settings, APART, &with).await?;
                let tls = with.tls;
                Pools::Pg { pool, apart, tls }
            }
            DatabaseUrl::Sqlite(path) => {
                let path = path.to_string_lossy().into_owned();
                // The writer first: it turns the file to WAL, which a read-only connection cannot.
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

    /// Whether it answers now.
    pub async fn ping(&self) -> StorageResult<()> {
        self.feed_state().await.map(|_| ())
    }

    /// The same database on connections apart: with all others in use, nobody waits for one of these. On SQLite there is one
    /// writer, and so there are no others.
    #[must_use]
    pub fn reserved_pool(&self) -> Self {
        let pools = match &self.pools {
            Pools::Pg { apart, tls, .. } => Pools::Pg {
                pool: apart.clone(),
                apart: apart.clone(),
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

    /// How busy the connections are, all pools together but for those apart.
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

    /// Empties the write-ahead log of SQLite if its file is larger; whether it was. SQLite itself moves the log into the database
    /// after every thousand pages, but begins the file anew only in a moment without readers, so that it grows without end where
    /// there always is one. This waits for the readers of that moment, while others begin to read the database itself.
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

    /// Whether every write takes its turn.
    pub const fn has_one_writer(&self) -> bool {
        matches!(self.pools, Pools::Sqlite { .. })
    }

    fn lease(&self, conn: Conn, transaction: Transaction) -> Lease {
        Lease {
            conn: Some(conn),
            busy: false,
            transaction,
            refused: Arc::clone(&self.refused),
            failed: false,
            closed: false,
            answer_limit: self.answer_limit,
        }
    }

    /// A connection for one read.
    pub(crate) async fn reader(&self) -> StorageResult<Lease> {
        let conn = match &self.pools {
            Pools::Pg { pool, tls, .. } => Conn::Pg {
                conn: self.checked_out(pool, Dated::is_usable).await?,
                tls: tls.clone(),
            },
            Pools::Sqlite { readers, .. } => {
                Conn::Sqlite(self.checked_out(readers, |conn| !conn.is_broken()).await?)
            }
        };
        Ok(self.lease(conn, Transaction::Closed))
    }

    /// A connection in a transaction whose statements all read one snapshot. It is to be rolled back.
    pub(crate) async fn snapshot(&self) -> StorageResult<Lease> {
        let mut lease = self.reader().await?;
        lease.transaction = Transaction::Turning;
        on_backend!(lease, begin_snapshot())?;
        lease.transaction = Transaction::Open;
        Ok(lease)
    }

    /// A connection in a new transaction.
    pub(crate) async fn writer(&self) -> StorageResult<Lease> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let conn = match &self.pools {
                Pools::Pg { pool, tls, .. } => Conn::Pg {
                    conn: self.checked_out(pool, Dated::is_usable).await?,
                    tls: tls.clone(),
                },
                Pools::Sqlite { writer, .. } => {
                    Conn::Sqlite(self.checked_out(writer, |conn| !conn.is_broken()).await?)
                }
            };
            let mut lease = self.lease(conn, Transaction::Turning);
            match on_backend!(lease, begin()) {
                Err(StorageError::Unavailable(_)) if attempt == 1 => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    lease.transaction = Transaction::Open;
                    return Ok(lease);
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
    ) -> StorageResult<PooledConnection<'static, M>>
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
            // After a restart of the server all idle ones are dead. Those whose end has been noticed are known without asking;
            // the pool closes them when they come back.
            if is_usable(&mut conn) {
                return Ok(conn);
            }
        }
    }
}

impl Lease {
    pub(crate) fn conn(&mut self) -> StorageResult<&mut Conn> {
        self.conn
            .as_mut()
            .ok_or_else(|| StorageError::Unavailable("connection was given back".to_owned()))
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

    /// Makes the transaction's writes true, unless one of them failed.
    pub(crate) async fn commit(mut self) -> StorageResult<()> {
        if self.failed {
            self.rollback().await?;
            return Err(StorageError::Driver(
                diesel::result::Error::RollbackTransaction,
            ));
        }
        self.transaction = Transaction::Turning;
        let result = on_backend!(self, commit());
        self.transaction = Transaction::Closed;
        result
    }

    /// Forgets the transaction's writes.
    pub(crate) async fn rollback(mut self) -> StorageResult<()> {
        self.transaction = Transaction::Turning;
        let result = on_backend!(self, rollback());
        self.transaction = Transaction::Closed;
        result
    }
}

impl Drop for Lease {
    /// A caller who left in the middle: what still runs is cancelled, what is open is rolled back, in a task of its own. An
    /// idle connection goes straight back to its pool.
    fn drop(&mut self) {
        let Some(mut conn) = self.conn.take() else {
            return;
        };
        if self.closed
            && let Conn::Pg { conn, .. } = &mut conn
        {
            conn.lose();
            return;
        }
        let (busy, transaction) = (self.busy, self.transaction);
        let clean = !busy && transaction == Transaction::Closed;
        if !clean && tokio::runtime::Handle::try_current().is_ok() {
            tokio::spawn(clean_up(conn, busy, transaction));
        }
    }
}

/// How long an abandoned connection may take to become usable again, before it is thrown away.
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
        // A statement of SQLite cannot be called off; its future has waited for it when it was dropped.
        Conn::Sqlite(_) if transaction == Transaction::Closed => Ok(()),
        Conn::Sqlite(mut conn) => sqlite::rollback(&mut conn).await,
    };
    if let Err(error) = result {
        tracing::debug!(%error, "an abandoned connection could not be cleaned up");
    }
}

async fn clean_up_pg(
    conn: &mut pg::Conn,
    tls: MakeRustlsConnect,
    busy: bool,
    transaction: Transaction,
) -> diesel::QueryResult<()> {
    if transaction == Transaction::Turning {
        // The driver does not know whether there is one, and refuses to go on.
        return Err(diesel::result::Error::BrokenTransactionManager);
    }
    if busy {
        // The answer says only that the request was sent on; the next statement waits for its effect.
        let _ = conn.cancel_token().cancel_query(tls).await;
    }
    if transaction == Transaction::Open {
        pg::rollback(conn).await
    } else {
        conn.batch_execute("SELECT 1").await
    }
}
