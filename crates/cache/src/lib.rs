//! The cache: values of the database kept near, never stale. Knows no entity: it holds bytes under typed keys.
//!
//! The promise and the protocol stand in `docs/caching.md`; in short, a write fences its keys before it commits (no value, and
//! no reader may fill) and releases them after, and a reader fills only under a lease that no write has taken from it.
//!
//! Invariants:
//! * A read that begins after a write was acknowledged sees it, whatever fails (see the table in `docs/caching.md`).
//! * A value is filled only under the lease that was taken before its row was read, and only by the primary's row.
//! * A flight is shared only by readers who came before its row was asked for.
//! * The gate is looked at before a value is asked for, before a lease is taken, before a fence and after a release.
//! * A cache that is dead or slow costs a read one time-out, and never its answer.
//!
//! To add a kind: a line in [`Kind`], its prefix and its time to live.

mod acceptance;
mod admin;
mod cache;
mod clock;
mod fill;
mod gate;
mod key;
mod ledger;
mod memory;
mod raw;
mod read;
mod read_many;
mod reconciler;
pub mod redis;
mod remote;
mod sample;
mod scoped;
mod settings;
#[cfg(test)]
mod sim;
mod single_flight;
mod stall;
mod stats;
mod tracking;
mod write;

pub use admin::Peek;
pub use cache::{
    Answer, Cache, CacheLookup, Codec, NewestEntry, ReadRequest, Shared, Source, ValueFormat,
};
pub use clock::{Clock, ClockState, boot_clock};
pub use gate::{GATE_TTL, GateState, MARGIN};
pub use key::{Key, Kind};
pub use ledger::{
    Epoch, Holder, InstanceKind, Ledger, LedgerError, Pending, PendingRows, Registered,
    RegistrationState, RemoteId, Renewal, Serving,
};
pub use memory::{EncodedList, EncodedValue, MemoryStatus};
pub use raw::Raw;
pub use read_many::BatchReadRequest;
pub use remote::{Acquired, Claimed, Fault, Fence, Release, Remote, RemoteStats, Token};
pub use settings::{Backend, CacheSettings, Ttls};
pub use stats::{Operation, Outcome, Sample, Tier};
pub use tracking::{InvalidationHandler, Tracking};
pub use write::{Fenced, TransactionOutcome, Write};
