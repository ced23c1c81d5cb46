//! The tier that several instances share, as the protocol needs it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::key::Key;
use crate::ledger::{Epoch, Holder, RemoteId};
use crate::raw::Raw;

/// Whose lease or fence it is: random, and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub u128);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// Why the shared tier did not do it. A write cannot know whether it happened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No answer in time.
    #[error("no answer in time")]
    Slow,
    /// No connection, or it broke.
    #[error("not reached: {0}")]
    Away(String),
    /// The connection is to another process than the epoch is about.
    #[error("another process answers")]
    Elsewhere,
    /// It was not even asked, since it has failed again and again.
    #[error("not asked: it has not answered for a while")]
    Open,
    /// It answered with an error.
    #[error("refused: {0}")]
    Refused(String),
}

/// What came of asking for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acquired {
    /// There is a value by now.
    Value(Raw),
    /// A write is under way: read the database and fill nothing.
    Busy,
    /// The lease is taken: what is read from now on may be filled.
    Granted,
}

/// What came of claiming the shared tier for one database of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The claim is held.
    Held {
        /// The highest number that was raised under it; `None` if that is not known, as after the loss of the claim's key.
        marker: Option<i64>,
    },
    /// Another holder lives. The text names it for an operator, and the remedy.
    Refused(String),
}

/// How a key is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// Its value goes.
    Delete,
    /// Its list stays, under a mark that makes it a miss, since only its head will change.
    Mark,
}

/// How a key is released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// Its value goes, in case somebody filled it meanwhile.
    Delete,
    /// If our mark is at the head of the list and what lies below is the message before this one and of the epoch, this goes on
    /// top; else the list goes.
    Append {
        /// Its place in the conversation.
        sequence: i64,
        /// The message, unstamped.
        element: Bytes,
        /// How long the list lives from now on.
        ttl: Duration,
    },
}

/// How long a generation is kept; each write of its scope begins another.
pub(crate) const GENERATION_TTL: Duration = Duration::from_hours(2);

/// What the shared tier says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoteStats {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes that it may use; 0 without a limit.
    pub max_bytes: u64,
    /// Keys that went for want of room.
    pub evicted: u64,
    /// Keys there are, ours and others'.
    pub keys: u64,
}

/// The shared tier. Every call ends by itself within its time-out (but see `scan`); those of one key go over one connection in
/// the order in which they were made. A call under an epoch is refused with [`Fault::Elsewhere`] where the connection is to
/// another process than that of the epoch.
#[async_trait]
pub trait Remote: Send + Sync + 'static {
    /// Identity of what answers, asked anew: of each node, its run id, its replication id and the database number.
    async fn identity(&self) -> Result<RemoteId, Fault>;

    /// Claims the shared tier for this holder for 3 s from now, by the tier's clock. A claim of another
    /// holder that has expired is taken over, without its marker; one of the same database by another server, with it.
    async fn claim(&self, holder: &Holder) -> Result<Claimed, Fault>;

    /// Raises the marker of the claim to a number, and never lowers it; `false` if the claim is another holder's by now.
    async fn raise(&self, holder: &Holder, number: i64) -> Result<bool, Fault>;

    /// The value of a key. A value of the wrong type is an empty [`Raw::One`]: spoiled, but there.
    async fn get(&self, key: Key, epoch: &Epoch) -> Result<Option<Raw>, Fault>;

    /// The values of keys whose kinds are not lists, by one request (one a node, in a cluster).
    async fn get_many(&self, keys: &[Key], epoch: &Epoch) -> Result<Vec<Option<Raw>>, Fault>;

    /// Asks for the lease. If there is exactly what the caller found spoiled, it is deleted first.
    async fn acquire(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        spoiled: Option<&Raw>,
    ) -> Result<Acquired, Fault>;

    /// Puts the value there if the lease still stands, and gives the lease back; whether it was put.
    async fn fill(
        &self,
        key: Key,
        epoch: &Epoch,
        token: Token,
        value: &Raw,
        ttl: Duration,
    ) -> Result<bool, Fault>;

    /// The generation of a value's scope, if there is one, and the value, at one moment.
    async fn get_scoped(
        &self,
        key: Key,
        epoch: &Epoch,
    ) -> Result<(Option<String>, Option<Raw>), Fault>;

    /// The generation of a value's scope; if there is none, this token from now on.
    async fn generation(&self, key: Key, epoch: &Epoch, token: Token) -> Result<String, Fault>;

    /// Puts a value there, whatever there was: it carries the generation that it is good for.
    async fn put(&self, key: Key, epoch: &Epoch, value: &Raw, ttl: Duration) -> Result<(), Fault>;

    /// Fences the keys, side by side: all or an error. A generation is replaced by one that never was.
    async fn fence(&self, keys: &[(Key, Fence)], epoch: &Epoch, token: Token) -> Result<(), Fault>;

    /// Releases the keys, side by side: all or an error. A generation is replaced by another one that never was.
    async fn release(
        &self,
        keys: &[(Key, Release)],
        epoch: &Epoch,
        token: Token,
    ) -> Result<(), Fault>;

    /// Our value keys whose name fits the glob; takes as long as it takes.
    async fn scan(&self, pattern: &str) -> Result<Vec<Key>, Fault>;

    /// What it says of itself.
    async fn stats(&self) -> Result<RemoteStats, Fault>;
}
