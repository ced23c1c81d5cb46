//! Opens connections and the pools that own them.

use std::time::Duration;

use bb8::Pool;
use diesel::{Connection as _, ConnectionError, ConnectionResult, sqlite::SqliteConnection};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use futures_util::FutureExt as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connect_errors::ConnectErrors;
use super::liveness::{LossCount, TrackedManager};
use super::primary;
use crate::backend::sqlite;
use crate::error::{StorageError, StorageResult};
use crate::model::settings::Settings;

pub(crate) type SqliteManager = AsyncDieselConnectionManager<sqlite::Conn>;

/// Parameters shared by the connections of all pools to one server.
pub(crate) struct ConnectOptions {
    pub(crate) tls: MakeRustlsConnect,
    pub(crate) losses: LossCount,
    pub(crate) errors: ConnectErrors,
}

/// Opens a pool of connections to Postgres.
pub(crate) async fn pg_pool(
    url: &str,
    settings: &Settings,
    size: u32,
    with: &ConnectOptions,
) -> StorageResult<Pool<TrackedManager>> {
    let mut config = ManagerConfig::default();
    let (tls, connect_timeout) = (with.tls.clone(), settings.acquire_timeout);
    let (timeout, errors) = (settings.statement_timeout, with.errors.clone());
    config.custom_setup = Box::new(move |url| {
        let establishing = establish_pg(url.to_owned(), tls.clone(), timeout);
        let errors = errors.clone();
        // No caller waits longer for a connection, and an attempt that gets no answer must not keep a slot of the pool.
        async move {
            let in_time = tokio::time::timeout(connect_timeout, establishing).await;
            let attempt = in_time.unwrap_or_else(|_| {
                Err(ConnectionError::BadConnection(
                    "connecting timed out".to_owned(),
                ))
            });
            errors.note(&attempt);
            attempt
        }
        .boxed()
    });
    config.recycling_method = RecyclingMethod::Fast;
    let manager = AsyncDieselConnectionManager::new_with_config(url, config);
    let manager = TrackedManager::new(manager, with.losses.clone());
    builder(settings, size)
        .build(manager)
        .await
        .map_err(|e| StorageError::Unavailable(e.to_string()))
}

/// Opens a dedicated connection to Postgres.
pub(crate) async fn connect(url: &str, settings: &Settings) -> StorageResult<AsyncPgConnection> {
    let connecting = primary::connect(url, tls(settings)?, settings.statement_timeout);
    let (client, connection) = tokio::time::timeout(settings.acquire_timeout, connecting)
        .await
        .map_err(|_| StorageError::Unavailable("connecting timed out".to_owned()))?
        .map_err(StorageError::Unavailable)?;
    AsyncPgConnection::try_from_client_and_connection(client, connection)
        .await
        .map_err(|e| StorageError::Unavailable(e.to_string()))
}

/// Planner settings. Every large table has an index for each of its queries. By default the planner reads a small table
/// sequentially and keeps that plan (also the plan of a foreign key check) until the table is analyzed again: an import
/// into an installation with a few conversations would then read all messages imported so far, for each message. Where
/// no index applies, only the estimated cost changes; that higher cost would trigger JIT compilation, which is
/// therefore off.
const PLANNER_SETTINGS: &str = "SET enable_seqscan = off; SET jit = off";

async fn establish_pg(
    url: String,
    tls: MakeRustlsConnect,
    timeout: Duration,
) -> ConnectionResult<AsyncPgConnection> {
    let (client, connection) = primary::connect(&url, tls, timeout)
        .await
        .map_err(ConnectionError::BadConnection)?;
    let mut conn = AsyncPgConnection::try_from_client_and_connection(client, connection).await?;
    let millis = timeout.as_millis();
    // Once per connection, never per request. The idle limit ends a transaction if its process stopped in the middle.
    let setup = format!(
        "SET statement_timeout = {millis}; SET idle_in_transaction_session_timeout = {millis}; SET timezone = 'UTC'; \
         {PLANNER_SETTINGS}"
    );
    conn.batch_execute(&setup)
        .await
        .map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// Returns the TLS configuration, with the root certificates that servers are verified against.
pub(crate) fn tls(settings: &Settings) -> StorageResult<MakeRustlsConnect> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let mut roots = rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(file) = &settings.ca_file {
        let bad = |e: &dyn std::fmt::Display| {
            StorageError::Unavailable(format!(
                "cannot read certificates from {}: {e}",
                file.display()
            ))
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

/// Settings of the writer. WAL, so that readers and the writer do not wait for one another; FULL, so that an
/// acknowledged commit survives a power cut.
pub(crate) const SQLITE_WRITER: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;";
pub(crate) const SQLITE_READER: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;";

/// Opens a pool of connections to a file.
pub(crate) async fn sqlite_pool(
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
