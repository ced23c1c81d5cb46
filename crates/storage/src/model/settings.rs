//! Settings of a database, and the state of its pools.

use std::path::PathBuf;
use std::time::Duration;

use parlance_domain::search::Language;

use super::url::DatabaseUrl;

/// Settings of a database.
#[derive(Debug, Clone)]
pub struct Settings {
    /// URL of the database.
    pub url: DatabaseUrl,
    /// Maximum number of connections; on SQLite of readers (in addition there is one writer).
    pub pool_size: u32,
    /// How long a caller waits for a free connection.
    pub acquire_timeout: Duration,
    /// Statement timeout on Postgres; must be below the 10 s that a cache fence lives.
    pub statement_timeout: Duration,
    /// File of certificates (PEM) to trust for Postgres, in addition to the public ones.
    pub ca_file: Option<PathBuf>,
    /// Language of message search.
    pub search_language: Language,
    /// Whether waiting deliveries of a restored database are held until an operator releases them.
    pub hold_after_restore: bool,
}

impl Settings {
    /// Default settings for a URL.
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

/// State of the connection pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// Open connections.
    pub open: u32,
    /// Idle connections among them.
    pub idle: u32,
}
