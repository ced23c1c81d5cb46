//! What the instances tell one another through the database, as the protocol needs it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::key::Key;
use crate::remote::Token;

/// Identity of a shared tier: its process, or processes, and the database number.
pub type RemoteId = Arc<str>;

/// A number under which values are good, and the process that holds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    /// Stamped on every value.
    pub number: i64,
    /// Of which process.
    pub remote: RemoteId,
}

/// What came of renewing the right to serve from a shared tier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// It is renewed under this epoch: `serves_until` is committed.
    Renewed(Epoch),
    /// Another process answered than the recorded one, so it was recorded under the next number; it is not in force yet.
    Recorded,
    /// The epoch is too young: whoever serves under the one before must have ended first.
    TooYoung,
}

/// For what a shared tier is claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The installation and the identity of its database. The marker of the claim is of it.
    pub database: String,
    /// Identity of the database server that answers; another one after a restore, a failover and a restart, and for a copy of the
    /// database that runs beside it.
    pub server: String,
}

/// Which database answers, and what it has recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationState {
    /// The name under which the instances claim a shared tier.
    pub holder: Holder,
    /// Whether the server is the one that was accepted last.
    pub is_accepted: bool,
    /// Whether an instance lives that uses a shared tier.
    pub is_shared: bool,
    /// The number of the epoch.
    pub epoch: i64,
}

/// Where an instance keeps values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceKind {
    /// Nowhere.
    Off,
    /// In its own memory.
    Memory,
    /// In a tier that other instances share.
    Shared,
}

/// What is known of the other instances when one tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Registered {
    /// Others that live.
    pub others: u64,
    /// No epoch has ever been recorded, or the last one was closed more than `GATE_TTL` and 50 ms ago: whoever wants to serve from a
    /// shared tier must first record one and then wait that long, so until `GATE_TTL` from now nobody does.
    pub free: bool,
    /// How long the longest-serving other instance that keeps values in its own memory may still do so.
    pub memory_serves: Duration,
    /// What the database's clock says, since its epoch.
    pub clock: Duration,
}

/// How long instances may still serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Serving {
    /// The longest, by the database's clock.
    pub left: Duration,
    /// What that clock says, since its epoch.
    pub clock: Duration,
}

/// Rows that wait for a release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PendingRows {
    /// Those whose keys this version knows.
    pub known: Vec<Pending>,
    /// The ids of the others: a newer version may be serving their keys, this one cannot.
    pub unknown: Vec<i64>,
}

impl PendingRows {
    /// How many they are.
    pub const fn count(&self) -> usize {
        self.known.len() + self.unknown.len()
    }
}

/// A key that a write could not fence or release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its row.
    pub id: i64,
    /// What has to be released.
    pub key: Key,
    /// By whose fence.
    pub token: Token,
}

/// The database did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

/// The database's side of the protocol. Every call is a transaction of its own.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Registers this instance with the place where it keeps values, and reads the others. It counts as alive for three times `GATE_TTL` of
    /// the database's time.
    async fn register(&self, kind: InstanceKind) -> Result<Registered, LedgerError>;

    /// If `answering` is the recorded process and its epoch is in force: `serves_until` of this instance is `GATE_TTL` and 50 ms from
    /// now, by the database's clock. If another process is recorded, or it was recorded by another database server than the one that
    /// executes this, this one is recorded under the next number.
    async fn renew(&self, answering: &RemoteId) -> Result<Renewal, LedgerError>;

    /// Which database answers, and what it has recorded.
    async fn registration_state(&self) -> Result<RegistrationState, LedgerError>;

    /// Accepts a server: the state of its database was compared with the marker, or could not be for long. Deliveries may be claimed
    /// on it. Returns false, and changes nothing, if another database than the recorded one answers.
    async fn accept(&self, server: &str) -> Result<bool, LedgerError>;

    /// Counts a reconciliation pass, in a statement that is a transaction by itself: how many there have been by now. `None`, and
    /// nothing is counted, if there have been fewer than `known`: only a database that went back has forgotten some.
    async fn count(&self, known: Option<i64>) -> Result<Option<i64>, LedgerError>;

    /// Records the next number for `remote`, if `number` still is that of the epoch. With `lost` the database went back to an earlier
    /// state of itself, after so many passes: it counts on from there, and what else depends on the state that is gone is ended.
    async fn begin(
        &self,
        number: i64,
        remote: &RemoteId,
        lost: Option<i64>,
    ) -> Result<(), LedgerError>;

    /// As `renew`, for an instance that keeps values in its own memory and shares them with nobody.
    async fn renew_memory(&self) -> Result<(), LedgerError>;

    /// The rows that wait, oldest first, up to `limit`.
    async fn pending(&self, limit: i64) -> Result<PendingRows, LedgerError>;

    /// How many rows wait.
    async fn waiting(&self) -> Result<u64, LedgerError>;

    /// Deletes exactly these rows, if the epoch still is this one; where none is named, if no epoch can be served from
    /// ([`Registered::free`]). Whether it did.
    async fn settle(&self, rows: &[i64], epoch: Option<i64>) -> Result<bool, LedgerError>;

    /// Records the next number for the process of this epoch, if it still is the recorded one. No value of an older number is
    /// ever a hit again, so the rows that wait at that moment need no release any more: they are marked in the same transaction,
    /// `pending` leaves them out, and whoever renews under a later epoch that is in force deletes them, some at a time.
    async fn retire(&self, epoch: i64) -> Result<(), LedgerError>;

    /// If no instance may serve from a shared tier any more by the database's clock (those that serve from their own memory do not
    /// count): as `retire`, but for no process at all, so that nobody serves before a process is recorded anew. Unless `at_least`
    /// rows wait, nothing is done. Nothing is done either where no epoch is recorded, where it is closed already, and while it is so
    /// young that somebody may be about to serve under it.
    async fn close(&self, at_least: i64) -> Result<(), LedgerError>;

    /// Adds rows after the fact, in a transaction of their own.
    async fn add(&self, keys: &[Key], token: Token) -> Result<(), LedgerError>;

    /// How long any instance may still serve, by the database's clock: the greatest `serves_until` less now.
    async fn served_for(&self) -> Result<Serving, LedgerError>;

    /// Whether rows of this token wait.
    async fn waits(&self, token: Token) -> Result<bool, LedgerError>;
}
