//! Public interface of the cache: the cache itself, codecs, read requests and lookup results.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::gate::Gate;
use crate::key::{Key, Kind};
use crate::ledger::Ledger;
use crate::memory::{EncodedValue, MemoryTier};
use crate::raw::Raw;
use crate::remote::Remote;
use crate::settings::{Backend, CacheSettings};
use crate::single_flight::SingleFlight;
use crate::stall::StallDetector;
use crate::stats::{Operation, Outcome, Sample, Stats, Tier};
use crate::tracking::{InvalidationHandler, Tracking};

/// Encoding of the values of one kind.
pub trait Codec: Copy + Send + Sync + 'static {
    /// Type of the cached value.
    type Value: Clone + Send + Sync + 'static;
    /// Error of a load from the database.
    type Error: Clone + Send + Sync + 'static;

    /// Owner of the value; `None` if it cannot be cached, such as an empty list.
    fn owner(self, value: &Self::Value) -> Option<&str>;
    /// Text of the value for Redis, without the epoch stamp.
    fn raw(self, value: &Self::Value) -> Raw;
    /// Parses the text; `None` if this service would never have written it.
    fn parse(self, raw: &Raw) -> Option<Self::Value>;
    /// Encodes the value in the format in which this process answers.
    fn encode(self, value: &Self::Value) -> EncodedValue;
    /// Whether the error means that the database is unreachable, not that it refused the statement.
    fn is_away(error: &Self::Error) -> bool;
}

/// Source of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The memory tier of this process.
    Memory,
    /// Redis.
    Redis,
    /// The database.
    Database,
}

impl Source {
    /// Name in the metadata of answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Database => "database",
        }
    }
}

/// Value found by a read, encoded or decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<V> {
    /// Encoded, from the memory tier.
    Encoded(EncodedValue),
    /// Decoded.
    Value(V),
}

/// Value found by a read, with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheLookup<V> {
    /// The value.
    pub answer: Answer<V>,
    /// Source of the value.
    pub source: Source,
    /// Upper bound of the staleness, if the value was served while the database was unreachable.
    pub stale: Option<Duration>,
}

impl<V> CacheLookup<V> {
    pub(crate) const fn new(answer: Answer<V>, source: Source) -> Self {
        Self {
            answer,
            source,
            stale: None,
        }
    }
}

/// Request to read one value.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest<'a> {
    /// Key to read.
    pub key: Key,
    /// Owner that reads; a value of another owner is treated as absent.
    pub owner: &'a str,
    /// Accepted staleness while the database is unreachable.
    pub max_staleness: Option<Duration>,
}

/// Format in which a new message is prepended to a cached list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueFormat {
    /// Lists are not cached.
    None,
    /// Text for Redis.
    Text,
    /// Encoded answer, for the memory tier.
    Encoded,
}

/// Tiers that the configured backend uses.
pub(crate) enum Tiers {
    Off,
    Memory(Arc<MemoryTier>),
    Shared {
        remote: Arc<dyn Remote>,
        copies: Option<Copies>,
    },
}

/// Copies of Redis values in this process (`hybrid`).
pub(crate) struct Copies {
    pub(crate) memory: Arc<MemoryTier>,
    pub(crate) tracking: Arc<dyn Tracking>,
}

/// Tier that instances share, with the connection that reports invalidations of it.
pub struct Shared {
    /// The shared tier.
    pub remote: Arc<dyn Remote>,
    /// The invalidation connection; without it the process keeps no copies.
    pub tracking: Option<Arc<dyn Tracking>>,
}

/// Epoch of values that only this process holds.
pub(crate) const LOCAL_EPOCH: i64 = 0;
/// Largest cached list or page, in bytes.
pub(crate) const MAX_LIST_BYTES: usize = 1024 * 1024;

/// Cache of one instance.
pub struct Cache {
    pub(crate) settings: CacheSettings,
    pub(crate) tiers: Tiers,
    pub(crate) gate: Gate,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) single_flight: Arc<SingleFlight>,
    pub(crate) stall_detector: Arc<StallDetector>,
    pub(crate) stats: Arc<Stats>,
    /// Whether this instance may write: see [`Cache::wait_until_ready`].
    pub(crate) ready: watch::Sender<bool>,
    /// Whether the database was compared with the marker in the shared tier.
    pub(crate) compared: watch::Sender<bool>,
    /// Database server that is not accepted yet, and since when it has answered.
    pub(crate) uncompared: Mutex<Option<(String, Instant)>>,
    /// Database server and number of the last reconciliation pass of an instance that serves from its own memory.
    pub(crate) last_pass: Mutex<Option<(String, i64)>>,
    /// Recently hit keys, for the auditor.
    pub(crate) recent_hits: crate::sample::RecentHits,
}

impl Cache {
    /// Creates the cache of a backend. `Memory` and `Off` need no shared tier; `Redis` and `Hybrid` without one become `Off`.
    pub fn new(
        settings: CacheSettings,
        shared: Option<Shared>,
        ledger: Arc<dyn Ledger>,
    ) -> Arc<Self> {
        let stats = Arc::new(Stats::new());
        let memory_tier = || Arc::new(MemoryTier::new(settings.max_entries, settings.max_bytes));
        let tiers = match (settings.backend, shared) {
            (Backend::Memory, _) => Tiers::Memory(memory_tier()),
            (Backend::Redis, Some(Shared { remote, .. })) => Tiers::Shared {
                remote,
                copies: None,
            },
            (Backend::Hybrid, Some(Shared { remote, tracking })) => {
                let copies = tracking.map(|tracking| {
                    let memory = memory_tier();
                    tracking.listen(Arc::new(MemoryInvalidator {
                        memory: Arc::clone(&memory),
                        stats: Arc::clone(&stats),
                    }));
                    Copies { memory, tracking }
                });
                Tiers::Shared { remote, copies }
            }
            (Backend::Off, _) | (Backend::Redis | Backend::Hybrid, None) => Tiers::Off,
        };
        let compared = watch::Sender::new(!matches!(tiers, Tiers::Shared { .. }));
        let (ready, _) = watch::channel(false);
        Arc::new(Self {
            stall_detector: StallDetector::new(settings.stall_timeout),
            gate: Gate::shut(Arc::clone(&settings.clock), settings.margin),
            settings,
            tiers,
            ledger,
            single_flight: SingleFlight::new(),
            stats,
            ready,
            compared,
            uncompared: Mutex::default(),
            last_pass: Mutex::default(),
            recent_hits: crate::sample::RecentHits::new(),
        })
    }

    /// Registers a callback that receives the duration of every operation.
    pub fn watch(&self, watcher: impl Fn(Sample, Duration) + Send + Sync + 'static) {
        self.stats.watch(Box::new(watcher));
    }

    /// Registers a callback that receives how long each degraded write waited for the other instances.
    pub fn watch_waits(&self, watcher: impl Fn(Duration) + Send + Sync + 'static) {
        self.stats.watch_waits(Box::new(watcher));
    }

    /// Format in which a new message is prepended to a cached list.
    pub fn value_format(&self) -> ValueFormat {
        match &self.tiers {
            Tiers::Off => ValueFormat::None,
            Tiers::Memory(_) => ValueFormat::Encoded,
            Tiers::Shared { .. } => ValueFormat::Text,
        }
    }

    /// Settings of this cache.
    pub const fn settings(&self) -> &CacheSettings {
        &self.settings
    }

    /// Whether this instance registers and keeps a gate: with a shared tier, or if other instances may write to the database.
    pub(crate) fn keeps_a_gate(&self) -> bool {
        match &self.tiers {
            Tiers::Shared { .. } => true,
            Tiers::Off | Tiers::Memory(_) => self.settings.shared_database,
        }
    }

    /// Whether values of the memory backend may be served.
    pub(crate) fn memory_is_open(&self) -> bool {
        !self.settings.shared_database || self.gate.epoch().is_some()
    }

    /// Counts one operation.
    pub(crate) fn count(
        &self,
        (kind, tier): (Kind, Tier),
        operation: Operation,
        outcome: Outcome,
        took: Duration,
    ) {
        let sample = Sample {
            kind,
            tier,
            operation,
            outcome,
        };
        self.stats.count(sample, took);
    }
}

#[cfg(test)]
impl Cache {
    /// Disables the fill guard: copies are stored even if their key was invalidated meanwhile.
    pub(crate) fn disable_fill_guard(&self) {
        if let Tiers::Shared {
            copies: Some(copies),
            ..
        } = &self.tiers
        {
            copies
                .memory
                .fill_guard_off
                .store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Applies invalidations to the copies in this process.
struct MemoryInvalidator {
    memory: Arc<MemoryTier>,
    stats: Arc<Stats>,
}

impl InvalidationHandler for MemoryInvalidator {
    fn live(&self) {
        self.memory.connected();
    }

    fn changed(&self, key: Key) {
        if key == Key::EVERYTHING {
            self.memory.empty();
        } else if self.memory.invalidate(key) {
            let sample = Sample {
                kind: key.kind(),
                tier: Tier::Memory,
                operation: Operation::Invalidate,
                outcome: Outcome::Ok,
            };
            self.stats.count(sample, Duration::ZERO);
        }
    }

    fn lost(&self) {
        self.memory.disconnected();
    }
}

/// Name of a kind at the beginning of a log message; operators search for it.
pub(crate) const fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Message => "Message",
        Kind::Conversation => "Conversation",
        Kind::Messages => "Conversation messages",
        Kind::List => "Conversation list",
        Kind::Stats => "Statistics",
        Kind::Search => "Search",
        Kind::Generation => "Generation",
    }
}

/// Name of a kind inside a log message.
pub(crate) const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Message => "message",
        Kind::Conversation => "conversation",
        Kind::Messages => "conversation messages",
        Kind::List => "conversation list",
        Kind::Stats => "statistics",
        Kind::Search => "search",
        Kind::Generation => "generation",
    }
}

/// Entry that becomes the newest of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestEntry {
    /// Sequence of the message in its conversation.
    pub sequence: i64,
    /// Message in the format that [`Cache::value_format`] returns.
    pub element: Bytes,
}
