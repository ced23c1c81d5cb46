//! Error of the start of the service.

use std::net::SocketAddr;
use std::path::PathBuf;

use parlance_cache::DatabaseLockError;
use parlance_storage::StorageError;

use crate::config::Migrate;

/// Error of the start of the service.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is in use, or the address is not one of this machine.
    #[error("{setting}: cannot listen on {address}: {source}")]
    Listen {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        address: SocketAddr,
        /// Error of the system.
        source: std::io::Error,
    },
    /// The database cannot be opened, after all attempts.
    #[error("DATABASE_URL: {url}: {source}")]
    Database {
        /// Its URL without the password.
        url: String,
        /// Error of the last attempt.
        source: StorageError,
    },
    /// Migrations are missing, and the setting does not apply them.
    #[error(
        "MIGRATE={setting}: the database lacks {}; run `parlance migrate`, or start with MIGRATE=auto",
        missing.join(", ")
    )]
    Migrations {
        /// Value of `MIGRATE` in force.
        setting: Migrate,
        /// Names of the missing migrations.
        missing: Vec<String>,
    },
    /// The settings of Redis are invalid.
    #[error("Redis: {0}")]
    Redis(#[source] parlance_cache::redis::BadSettings),
    /// The lock file next to the database file cannot be locked.
    #[error("DATABASE_URL: cannot lock {}: {source}", path.display())]
    Lock {
        /// Path of the lock file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// Another process uses the `memory` cache on this database and has locked it exclusively.
    #[error(
        "DATABASE_URL: sqlite://{}: another process has locked this database for its memory cache, which writes of this process \
         would make stale; stop that process, or set CACHE_BACKEND=off for both",
        .0.display()
    )]
    InUse(PathBuf),
    /// The compiled-in API descriptors cannot be served.
    #[error("cannot read the API descriptors: {0}")]
    Contract(String),
    /// Metrics cannot be set up.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] opentelemetry_sdk::error::OTelSdkError),
}

impl From<DatabaseLockError> for StartError {
    fn from(error: DatabaseLockError) -> Self {
        match error {
            DatabaseLockError::NotLockable { path, source } => Self::Lock { path, source },
            DatabaseLockError::InUse(database) => Self::InUse(database),
        }
    }
}
