//! The pools of an open database.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bb8::{Pool, RunError};
use diesel_async::pooled_connection::{PoolError, PoolableConnection as _};
use parlance_domain::search::Language;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::commits::Commits;
use super::connect_errors::ConnectErrors;
use super::connection::{Conn, PooledConnection};
use super::liveness::{self, TrackedConnection, TrackedManager};
use super::open::{
    ConnectOptions, SQLITE_READER, SQLITE_WRITER, SqliteManager, pg_pool, sqlite_pool, tls,
};
use crate::backend::sqlite;
use crate::error::{StorageError, StorageResult};
use crate::model::settings::{PoolStatus, Settings};
use crate::model::url::DatabaseUrl;

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
        pool: Pool<TrackedManager>,
        /// Connections for callers that must not wait for the others.
        reserved: Pool<TrackedManager>,
        tls: MakeRustlsConnect,
    },
    Sqlite {
        readers: Pool<SqliteManager>,
        writer: Pool<SqliteManager>,
        /// File of the write-ahead log.
        log: PathBuf,
    },
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

    /// Waits until no commit is running, including commits that outlived their callers.
    pub async fn commits_ended(&self) {
        self.commits.ended().await;
    }

    fn pooled(&self, conn: Conn) -> PooledConnection {
        PooledConnection::new(conn, Arc::clone(&self.refused), self.answer_limit)
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
        Ok(self.pooled(conn))
    }

    /// Takes a connection in a transaction in which all statements read one snapshot. The caller rolls it back.
    pub(crate) async fn snapshot(&self) -> StorageResult<PooledConnection> {
        let mut connection = self.reader().await?;
        connection.begin_snapshot().await?;
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
            let mut connection = self.pooled(conn);
            match connection.begin().await {
                Err(StorageError::Unavailable(_)) if attempt == 1 => {}
                result => return result.map(|()| connection),
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
                RunError::TimedOut => self.connect_errors.no_connection(),
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
