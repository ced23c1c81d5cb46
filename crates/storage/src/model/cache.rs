//! Coordination of the cache among instances.

use std::time::Duration;

use uuid::Uuid;

/// Durations of the protocol, by the database's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheTimes {
    /// How long an instance may serve after a renewal; until an epoch is that old, no instance serves under it.
    pub serve: Duration,
    /// How long an instance counts as alive after it has registered.
    pub alive: Duration,
    /// How long an instance must be silent before it is removed.
    pub remove_after: Duration,
}

/// Where an instance caches values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheTier {
    /// Not at all.
    None,
    /// In its own memory.
    Memory,
    /// In Redis, where other instances read them too.
    Shared,
}

/// What an instance learns about the others when it registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRegistration {
    /// Number of other instances that are alive.
    pub others: u64,
    /// No process has held values for as long as an instance may serve; a Redis process must be recorded before it is
    /// used.
    pub free: bool,
    /// How long another instance that caches in its own memory may still serve.
    pub memory_serves: Duration,
    /// The database's clock, since 1970.
    pub clock: Duration,
}

/// How long instances may still serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheServingTime {
    /// The longest remaining time of any instance.
    pub left: Duration,
    /// The database's clock, since 1970.
    pub clock: Duration,
}

/// Outcome of a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheRenewal {
    /// The instance is renewed under this epoch.
    Renewed {
        /// Number of the epoch.
        epoch: i64,
    },
    /// Another Redis process was recorded; now the one that answers is, under the next number.
    Recorded,
    /// The epoch is too young, or was just recorded by another instance.
    TooYoung,
}

/// Which database answers, and what it has recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheDatabaseState {
    /// Id of the installation.
    pub installation: Uuid,
    /// Identity of the database.
    pub database: String,
    /// Identity of the database, and the time at which the server was started.
    pub server: String,
    /// Whether deliveries may be claimed on this server.
    pub is_accepted: bool,
    /// Whether an instance with a shared tier is alive.
    pub is_shared: bool,
    /// Number of the epoch.
    pub epoch: i64,
}

/// A key that waits to be released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingKey {
    /// Id of its row.
    pub id: i64,
    /// The key.
    pub key: String,
    /// Token of its write.
    pub token: String,
}

/// Cache keys that a write could not fence or release. Every reader of the cache must release them first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingKeys {
    /// The keys.
    pub keys: Vec<String>,
    /// Token of the write.
    pub token: String,
}
