//! Connections: two kinds of pool behind one type, and the macros that run a query on either.

use std::time::Duration;

use bb8::{Pool, PooledConnection, RunError};
use diesel::{Connection as _, ConnectionError, ConnectionResult, sqlite::SqliteConnection};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolError, PoolableConnection, RecyclingMethod,
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use futures_util::FutureExt as _;
use parlance_domain::search::Language;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::backend::{pg, sqlite};
use crate::commits::Commits;
use crate::error::{StorageError, StorageResult};
use crate::url::DatabaseUrl;

type PgManager = AsyncDieselConnectionManager<pg::Conn>;
type SqliteManager = AsyncDieselConnectionManager<sqlite::Conn>;

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
}

impl Settings {
    /// The defaults for a URL.
    pub const fn new(url: DatabaseUrl) -> Self {
        Self {
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
    pub(crate) search_language: Language,
    pub(crate) commits: Commits,
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
    },
}

/// A connection on loan.
pub(crate) struct Lease {
    conn: Option<Conn>,
    /// A statement was sent and not yet answered.
    busy: bool,
    transaction: Transaction,
    /// A statement failed. Postgres answers a later COMMIT with a rollback and no error, so it must not be sent.
    failed: bool,
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
        let result = match lease.conn()? {
            $crate::conn::Conn::Pg { conn, .. } => {
                use $crate::backend::pg::queries as $q;
                let $c: &mut $crate::backend::pg::Conn = &mut *conn;
                $query.await
            }
            $crate::conn::Conn::Sqlite(conn) => {
                use $crate::backend::sqlite::queries as $q;
                let $c: &mut $crate::backend::sqlite::Conn = &mut *conn;
                $query.await
            }
        };
        lease.answered(result.is_ok());
        result.map_err($crate::error::StorageError::from)
    }};
}

/// Runs a function that each backend has of its own: `on_backend!(lease, feed_now())`.
macro_rules! on_backend {
    ($lease:expr, $function:ident($($arg:expr),*)) => {{
        let lease: &mut $crate::conn::Lease = &mut $lease;
        lease.set_busy(true);
        let result = match lease.conn()? {
            $crate::conn::Conn::Pg { conn, .. } => $crate::backend::pg::$function(&mut *conn $(, $arg)*).await,
            $crate::conn::Conn::Sqlite(conn) => $crate::backend::sqlite::$function(&mut *conn $(, $arg)*).await,
        };
        lease.answered(result.is_ok());
        result.map_err($crate::error::StorageError::from)
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

impl Database {
    /// Opens the pools; connects once, so that a wrong URL is found here.
    pub async fn open(settings: &Settings) -> StorageResult<Self> {
        let pools = match &settings.url {
            DatabaseUrl::Postgres(url) => {
                let tls = tls(settings)?;
                let pool = pg_pool(url, settings, settings.pool_size, &tls).await?;
                let apart = pg_pool(url, settings, APART, &tls).await?;
                Pools::Pg { pool, apart, tls }
            }
            DatabaseUrl::Sqlite(path) => {
                let path = path.to_string_lossy().into_owned();
                // The writer first: it turns the file to WAL, which a read-only connection cannot.
                let writer = sqlite_pool(&path, 1, SQLITE_WRITER, settings).await?;
                let readers =
                    sqlite_pool(&path, settings.pool_size, SQLITE_READER, settings).await?;
                Pools::Sqlite { readers, writer }
            }
        };
        Ok(Self {
            pools,
            search_language: settings.search_language,
            commits: Commits::default(),
        })
    }

    /// Whether it answers now.
    pub async fn ping(&self) -> StorageResult<()> {
        self.feed_state().await.map(|_| ())
    }

    /// The same database on connections apart: with all others in use, nobody waits for one of these. On SQLite there is one
    /// writer, and so there are no others.
    #[must_use]
    pub fn apart(&self) -> Self {
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
            search_language: self.search_language,
            commits: self.commits.clone(),
        }
    }

    /// How busy the connections are, all pools together but for those apart.
    pub fn pool_status(&self) -> PoolStatus {
        let states = match &self.pools {
            Pools::Pg { pool, .. } => vec![pool.state()],
            Pools::Sqlite { readers, writer } => vec![readers.state(), writer.state()],
        };
        PoolStatus {
            open: states.iter().map(|s| s.connections).sum(),
            idle: states.iter().map(|s| s.idle_connections).sum(),
        }
    }

    /// Whether every write takes its turn.
    pub const fn has_one_writer(&self) -> bool {
        matches!(self.pools, Pools::Sqlite { .. })
    }

    /// A connection for one read.
    pub(crate) async fn reader(&self) -> StorageResult<Lease> {
        let conn = match &self.pools {
            Pools::Pg { pool, tls, .. } => Conn::Pg {
                conn: checked_out(pool).await?,
                tls: tls.clone(),
            },
            Pools::Sqlite { readers, .. } => Conn::Sqlite(checked_out(readers).await?),
        };
        Ok(Lease {
            conn: Some(conn),
            busy: false,
            transaction: Transaction::Closed,
            failed: false,
        })
    }

    /// A connection in a new transaction.
    pub(crate) async fn writer(&self) -> StorageResult<Lease> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let conn = match &self.pools {
                Pools::Pg { pool, tls, .. } => Conn::Pg {
                    conn: checked_out(pool).await?,
                    tls: tls.clone(),
                },
                Pools::Sqlite { writer, .. } => Conn::Sqlite(checked_out(writer).await?),
            };
            let mut lease = Lease {
                conn: Some(conn),
                busy: false,
                transaction: Transaction::Turning,
                failed: false,
            };
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

async fn checked_out<M>(pool: &Pool<M>) -> StorageResult<PooledConnection<'static, M>>
where
    M: bb8::ManageConnection<Error = PoolError>,
    M::Connection: PoolableConnection,
{
    loop {
        let mut conn = pool.get_owned().await.map_err(|error| match error {
            RunError::TimedOut => {
                StorageError::Unavailable("no free connection in time".to_owned())
            }
            RunError::User(error) => StorageError::Unavailable(error.to_string()),
        })?;
        // After a restart of the server all idle ones are dead. Those whose end has been noticed are known without asking;
        // the pool closes them when they come back.
        if !conn.is_broken() {
            return Ok(conn);
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

    pub(crate) const fn answered(&mut self, well: bool) {
        self.busy = false;
        self.failed |= !well;
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
        let Some(conn) = self.conn.take() else { return };
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

/// How many connections are apart: one, and another while the one is being cleaned up.
const APART: u32 = 2;

async fn pg_pool(
    url: &str,
    settings: &Settings,
    size: u32,
    tls: &MakeRustlsConnect,
) -> StorageResult<Pool<PgManager>> {
    let mut config = ManagerConfig::default();
    let (tls, patience) = (tls.clone(), settings.acquire_timeout);
    let timeout = settings.statement_timeout;
    config.custom_setup = Box::new(move |url| {
        let establishing = establish_pg(url.to_owned(), tls.clone(), timeout);
        // Nobody waits longer for it, and a server that does not answer must not keep the place of one that will.
        async move {
            let in_time = tokio::time::timeout(patience, establishing).await;
            in_time.unwrap_or_else(|_| {
                Err(ConnectionError::BadConnection(
                    "no answer in time".to_owned(),
                ))
            })
        }
        .boxed()
    });
    config.recycling_method = RecyclingMethod::Fast;
    let manager = PgManager::new_with_config(url, config);
    builder(settings, size)
        .build(manager)
        .await
        .map_err(|e| StorageError::Unavailable(e.to_string()))
}

/// Every large table has an index for whatever is asked of it. Left alone the planner reads a small one whole instead, and keeps
/// that plan, ours and that of a foreign key, until somebody measures the table again: an import into an installation with a few
/// conversations would read, for each message, all that it has brought so far. Where there is no index nothing changes but
/// the estimated cost, which would have plans compiled.
const PLANS: &str = "SET enable_seqscan = off; SET jit = off";

async fn establish_pg(
    url: String,
    tls: MakeRustlsConnect,
    timeout: Duration,
) -> ConnectionResult<AsyncPgConnection> {
    let bad = |e: tokio_postgres::Error| ConnectionError::BadConnection(full_message(&e));
    let (client, connection) = tokio_postgres::connect(&url, tls).await.map_err(bad)?;
    let mut conn = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
    let millis = timeout.as_millis();
    // Once per connection, never per request. The idle limit ends a transaction whose process was stopped in the middle.
    let setup = format!(
        "SET statement_timeout = {millis}; SET idle_in_transaction_session_timeout = {millis}; SET timezone = 'UTC'; \
         {PLANS}"
    );
    conn.batch_execute(&setup)
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// The driver hides the reason in the source of its error.
pub(crate) fn full_message(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        message = format!("{message}: {inner}");
        source = inner.source();
    }
    message
}

pub(crate) fn tls(settings: &Settings) -> StorageResult<MakeRustlsConnect> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let mut roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(file) = &settings.ca_file {
        let bad = |e: &dyn std::fmt::Display| {
            StorageError::Unavailable(format!("cannot use {}: {e}", file.display()))
        };
        for certificate in CertificateDer::pem_file_iter(file).map_err(|e| bad(&e))? {
            roots
                .add(certificate.map_err(|e| bad(&e))?)
                .map_err(|e| bad(&e))?;
        }
    }
    let config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// WAL, so that readers and the writer do not wait for one another; FULL, so that an acknowledged commit survives a power cut.
const SQLITE_WRITER: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;";
const SQLITE_READER: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;";

async fn sqlite_pool(
    path: &str,
    size: u32,
    pragmas: &'static str,
    settings: &Settings,
) -> StorageResult<Pool<SqliteManager>> {
    let mut config = ManagerConfig::default();
    config.custom_setup = Box::new(move |path| establish_sqlite(path.to_owned(), pragmas).boxed());
    config.recycling_method = RecyclingMethod::Fast;
    let manager = SqliteManager::new_with_config(path, config);
    builder(settings, size)
        .build(manager)
        .await
        .map_err(|e| StorageError::Unavailable(e.to_string()))
}

async fn establish_sqlite(path: String, pragmas: &'static str) -> ConnectionResult<sqlite::Conn> {
    let open = move || {
        let mut conn = SqliteConnection::establish(&path)?;
        diesel::connection::SimpleConnection::batch_execute(&mut conn, pragmas)
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok::<_, ConnectionError>(conn)
    };
    let conn = tokio::task::spawn_blocking(open)
        .await
        .map_err(|e| ConnectionError::BadConnection(e.to_string()))??;
    Ok(sqlite::Conn::new(conn))
}

fn builder<M: bb8::ManageConnection>(settings: &Settings, size: u32) -> bb8::Builder<M> {
    Pool::builder()
        .max_size(size)
        .min_idle(Some(1))
        .connection_timeout(settings.acquire_timeout)
        .retry_connection(false)
        .test_on_check_out(false)
}
