//! Interface to the database tables of the protocol: registrations, epochs and pending rows.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::key::Key;
use crate::token::Token;

/// Identity of a shared tier: its process or processes, and the database number.
pub type RemoteId = Arc<str>;

/// Number under which values are valid, and the process that holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Stamped on every value.
    pub number: i64,
    /// Process that the epoch belongs to.
    pub remote: RemoteId,
}

/// Result of renewing the right to serve from a shared tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// The right is renewed under this epoch: `serves_until` is committed.
    Renewed(Epoch),
    /// Another process answered than the recorded one. It is recorded under the next number, which is not in force yet.
    Recorded,
    /// The epoch is too young: instances that serve under the one before must have ended first.
    TooYoung,
}

/// Installation and database server that claim a shared tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Installation and identity of its database. The marker of the claim belongs to it.
    pub database: String,
    /// Identity of the database server that answers. It changes with a restore, a failover and a restart, and differs for a copy
    /// of the database that runs concurrently.
    pub server: String,
}

/// Database server that answers, and what the database has recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationState {
    /// Name under which instances claim a shared tier.
    pub holder: Holder,
    /// Whether this server is the accepted one.
    pub is_accepted: bool,
    /// Whether a live instance uses a shared tier.
    pub is_shared: bool,
    /// Number of the epoch.
    pub epoch: i64,
}

/// Where an instance caches values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceKind {
    /// Nowhere.
    Off,
    /// In its own memory.
    Memory,
    /// In a tier that other instances share.
    Shared,
}

/// Other instances, as seen by a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registered {
    /// Number of other live instances.
    pub others: u64,
    /// No epoch has ever been recorded, or the last one was closed more than 1 s and 50 ms ago. An instance that wants to serve
    /// from a shared tier must first record an epoch and then wait that long, so no instance does for the next second.
    pub free: bool,
    /// Longest time for which another instance may still serve from its own memory.
    pub memory_serves: Duration,
    /// Time of the database's clock, since its epoch.
    pub clock: Duration,
}

/// How long instances may still serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Serving {
    /// Longest remaining time, by the database's clock.
    pub left: Duration,
    /// Time of that clock, since its epoch.
    pub clock: Duration,
}

/// Rows of keys that wait for a release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PendingRows {
    /// Rows with keys that this version knows.
    pub known: Vec<Pending>,
    /// Ids of the other rows: a newer version may be serving their keys, this one cannot.
    pub unknown: Vec<i64>,
}

impl PendingRows {
    /// Number of rows.
    pub const fn count(&self) -> usize {
        self.known.len() + self.unknown.len()
    }
}

/// Key that a write could not fence or release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Id of the row.
    pub id: i64,
    /// Key to release.
    pub key: Key,
    /// Token of the write's fence.
    pub token: Token,
}

/// Failure of a database call, as text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// Database side of the protocol. Every call is a transaction of its own.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Registers this instance with the kind of its cache, and reads the other registrations. The instance counts as alive for 3
    /// s of the database's time.
    async fn register(&self, kind: InstanceKind) -> Result<Registered, LedgerError>;

    /// Renews the right to serve. If `answering` is the recorded process and its epoch is in force, `serves_until` of this
    /// instance is set to 1 s and 50 ms from now, by the database's clock. If another process is recorded, or another database
    /// server has recorded it, `answering` is recorded under the next number.
    async fn renew(&self, answering: &RemoteId) -> Result<Renewal, LedgerError>;

    /// Returns the database server that answers, and what the database has recorded.
    async fn registration_state(&self) -> Result<RegistrationState, LedgerError>;

    /// Accepts a server, so that deliveries may be claimed on it: the state of its database was compared with the marker, or
    /// could not be compared for long. Returns false, and changes nothing, if another database than the recorded one answers.
    async fn accept(&self, server: &str) -> Result<bool, LedgerError>;

    /// Counts a reconciliation pass, in a transaction of its own, and returns the number of passes so far. Returns `None`, and
    /// counts nothing, if there have been fewer than `known`: only a database that went back to an earlier state has lost some.
    async fn count(&self, known: Option<i64>) -> Result<Option<i64>, LedgerError>;

    /// Records the next number for `remote`, if `number` still is that of the epoch. `lost` is given if the database went back to
    /// an earlier state, and is the number of passes before that: counting continues from there, and everything else that depends
    /// on the lost state is ended.
    async fn begin(
        &self,
        number: i64,
        remote: &RemoteId,
        lost: Option<i64>,
    ) -> Result<(), LedgerError>;

    /// Renews the right to serve of an instance with the memory backend.
    async fn renew_memory(&self) -> Result<(), LedgerError>;

    /// Returns the pending rows, oldest first, at most `limit`.
    async fn pending(&self, limit: i64) -> Result<PendingRows, LedgerError>;

    /// Counts the pending rows.
    async fn waiting(&self) -> Result<u64, LedgerError>;

    /// Deletes exactly these rows, if the epoch still is this one; without an epoch, if no epoch can be served
    /// ([`Registered::free`]). Returns whether they were deleted.
    async fn settle(&self, rows: &[i64], epoch: Option<i64>) -> Result<bool, LedgerError>;

    /// Records the next number for the process of this epoch, if it still is the recorded one. No value of an older number is
    /// ever a hit again, so the pending rows need no release any more. They are marked in the same transaction and omitted by
    /// `pending`. An instance that renews under a later epoch in force deletes them in batches.
    async fn retire(&self, epoch: i64) -> Result<(), LedgerError>;

    /// Closes the epoch if no instance may serve from a shared tier any more, by the database's clock (instances that serve from
    /// their own memory do not count). Like `retire`, but records no process, so that no instance serves before a process is
    /// recorded again. Does nothing if
    /// - fewer than `at_least` rows are pending,
    /// - no epoch is recorded, or it is closed already,
    /// - the epoch is so young that an instance may be about to serve under it.
    async fn close(&self, at_least: i64) -> Result<(), LedgerError>;

    /// Adds rows after the commit of their write, in a transaction of their own.
    async fn add(&self, keys: &[Key], token: Token) -> Result<(), LedgerError>;

    /// How long any instance may still serve, by the database's clock: the latest `serves_until` minus now.
    async fn served_for(&self) -> Result<Serving, LedgerError>;

    /// Whether rows of this token are pending.
    async fn waits(&self, token: Token) -> Result<bool, LedgerError>;
}
