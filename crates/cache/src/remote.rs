//! Interface to the tier that several instances share.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::key::Key;
use crate::ledger::{Epoch, Holder, RemoteId};
use crate::raw::Raw;
use crate::token::Token;

/// Failure of a call to the shared tier. A write cannot know whether the call took effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No answer in time.
    #[error("no answer in time")]
    Slow,
    /// No connection, or the connection broke.
    #[error("unreachable: {0}")]
    Away(String),
    /// The connection is to another process than that of the epoch.
    #[error("another Redis process answers")]
    Elsewhere,
    /// The circuit breaker is open: no request was sent.
    #[error("not sent: the circuit breaker is open")]
    Open,
    /// The tier answered with an error.
    #[error("refused: {0}")]
    Refused(String),
}

/// Result of acquiring a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// A value is present by now.
    Value(Raw),
    /// A write is under way: the reader must not fill.
    Busy,
    /// The lease is acquired: a value read from now on may be filled.
    Granted,
}

/// Result of claiming the shared tier for one database of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The claim is held.
    Held {
        /// Highest number that the marker was raised to; `None` if unknown, as after the loss of the claim's key.
        marker: Option<i64>,
    },
    /// Another holder has a valid claim. The text explains this to an operator and names the remedy.
    Refused(String),
}

/// Effect of a fence on the value of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// The value is deleted.
    Delete,
    /// The list stays, with a mark at its head that makes it a miss, because only its head will change.
    Mark,
}

/// Effect of a release on the value of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// The value is deleted, in case a reader filled it meanwhile.
    Delete,
    /// The message is prepended, if the mark of this write is at the head of the list and the element below is the preceding
    /// message under the same epoch. Otherwise the list is deleted.
    Append {
        /// Sequence of the message in its conversation.
        sequence: i64,
        /// Message, without the epoch stamp.
        element: Bytes,
        /// Time to live of the list from now on.
        ttl: Duration,
    },
}

/// Time to live of a generation; every write of its scope rotates it.
pub(crate) const GENERATION_TTL: Duration = Duration::from_hours(2);

/// Statistics of the shared tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteStats {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Limit of the bytes in use; 0 without a limit.
    pub max_bytes: u64,
    /// Keys that were evicted for lack of memory.
    pub evicted: u64,
    /// Number of keys, including keys of other applications.
    pub keys: u64,
}

/// State of the circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Requests are sent.
    Closed,
    /// Calls fail at once until a probe succeeds.
    Open,
}

/// Health of the connection to the shared tier, for operators and metrics.
pub trait RemoteHealth: Send + Sync + 'static {
    /// Whether every node is connected and answers.
    fn reachable(&self) -> bool;

    /// State of the circuit breaker.
    fn breaker(&self) -> BreakerState;
}

/// Tier that several instances share. Every call ends within its time-out (except `scan`). Calls for one key use one connection,
/// in the order in which they were made. A call under an epoch fails with [`Fault::Elsewhere`] if the connection is to another
/// process than that of the epoch.
#[async_trait]
pub trait Remote: Send + Sync + 'static {
    /// Queries the identity of the tier: run id, replication id and database number of each node.
    async fn identity(&self) -> Result<RemoteId, Fault>;

    /// Claims the tier for this holder for 3 s from now, by the tier's clock. An expired claim of another holder is taken over:
    /// with its marker if it is of the same database by another server, without it otherwise.
    async fn claim(&self, holder: &Holder) -> Result<Claimed, Fault>;

    /// Raises the marker of the claim to a number, and never lowers it. Returns `false` if another holder has the claim by now.
    async fn raise(&self, holder: &Holder, number: i64) -> Result<bool, Fault>;

    /// Reads the value of a key. A value of the wrong Redis type is returned as an empty [`Raw::One`]: present, but unusable.
    async fn get(&self, key: Key, epoch: &Epoch) -> Result<Option<Raw>, Fault>;

    /// Reads the values of keys that are not lists, with one request (in a cluster, one per node).
    async fn get_many(&self, keys: &[Key], epoch: &Epoch) -> Result<Vec<Option<Raw>>, Fault>;

    /// Acquires the lease. If the value is exactly the one that the caller found unusable, it is deleted first.
    async fn acquire(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        spoiled: Option<&Raw>,
    ) -> Result<Acquired, Fault>;

    /// Stores the value if the lease is still valid, and ends the lease. Returns whether the value was stored.
    async fn fill(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        value: &Raw,
        ttl: Duration,
    ) -> Result<bool, Fault>;

    /// Reads the generation of a value's scope, if there is one, and the value, atomically.
    async fn get_scoped(
        &self,
        key: Key,
        epoch: &Epoch,
    ) -> Result<(Option<String>, Option<Raw>), Fault>;

    /// Reads the generation of a value's scope; if there is none, sets it to this token.
    async fn generation(&self, key: Key, epoch: &Epoch, token: Token) -> Result<String, Fault>;

    /// Stores a value unconditionally: it carries the generation under which it is valid.
    async fn put(&self, key: Key, epoch: &Epoch, value: &Raw, ttl: Duration) -> Result<(), Fault>;

    /// Fences the keys concurrently: all of them, or an error. A generation is replaced by an unused one.
    async fn fence(&self, keys: &[(Key, Fence)], epoch: &Epoch, token: Token) -> Result<(), Fault>;

    /// Releases the keys concurrently: all of them, or an error. A generation is replaced by another unused one.
    async fn release(
        &self,
        keys: &[(Key, Release)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<(), Fault>;

    /// Lists the value keys of this service with names that match the glob. Has no overall time-out.
    async fn scan(&self, pattern: &str) -> Result<Vec<Key>, Fault>;

    /// Reads the statistics of the tier.
    async fn stats(&self) -> Result<RemoteStats, Fault>;
}
