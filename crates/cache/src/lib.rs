//! Coherent cache of database values, in the process and in Redis. It knows no entity: it holds bytes under typed keys.
//!
//! `docs/caching.md` describes the guarantee and the protocol. In short: a write fences its keys before it commits (the value is
//! deleted and no reader may fill the key) and releases them afterwards. A reader fills a key only under a lease that no write
//! has revoked.
//!
//! Invariants:
//! * A read that begins after a write was acknowledged sees that write, whatever fails (see the table in `docs/caching.md`).
//! * A value is filled only under a lease that was acquired before its row was read, and only from the primary database.
//! * Readers share a load only if they arrived before its row was queried (single flight).
//! * The gate is checked before a lookup, before a lease is acquired, before a fence and after a release.
//! * A dead or slow cache costs a read one time-out and never fails it.
//!
//! To add a kind: a variant in [`Kind`], its prefix and its time to live.

mod acceptance;
mod admin;
mod cache;
mod clock;
mod database_lock;
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
mod token;
mod tracking;
mod write;

pub use admin::Peek;
pub use cache::{
    Answer, Cache, CacheLookup, Codec, NewestEntry, ReadRequest, Shared, Source, ValueFormat,
};
pub use clock::{Clock, ClockState, boot_clock};
pub use database_lock::{DatabaseLock, DatabaseLockError};
pub use gate::{GATE_TTL, GateState, MARGIN};
pub use key::{Key, Kind};
pub use ledger::{
    Epoch, Holder, InstanceKind, Ledger, LedgerError, Pending, PendingRows, Registered,
    RegistrationState, RemoteId, Renewal, Serving,
};
pub use memory::{EncodedList, EncodedValue, MemoryStatus};
pub use raw::Raw;
pub use read_many::BatchReadRequest;
pub use remote::{
    Acquired, BreakerState, Claimed, Fault, Fence, Release, Remote, RemoteHealth, RemoteStats,
};
pub use settings::{Backend, CacheSettings, Ttls};
pub use stats::{Operation, Outcome, Sample, Tier};
pub use token::Token;
pub use tracking::{InvalidationHandler, Tracking};
pub use write::{Fenced, TransactionOutcome, Write};
