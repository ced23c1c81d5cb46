//! The cache as the app sees it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::gate::Gate;
use crate::key::{Key, Kind};
use crate::ledger::Ledger;
use crate::memory::{EncodedValue, Near};
use crate::raw::Raw;
use crate::remote::Remote;
use crate::settings::{Backend, CacheSettings};
use crate::single_flight::Flights;
use crate::stall::Patience;
use crate::stats::{Operation, Outcome, Sample, Stats, Tier};
use crate::tracking::{InvalidationHandler, Tracking};

/// How values of one kind are written and read.
pub trait Codec: Copy + Send + Sync + 'static {
    /// What is cached.
    type Value: Clone + Send + Sync + 'static;
    /// Why the database did not answer.
    type Error: Clone + Send + Sync + 'static;

    /// Whose it is; `None` for what cannot be cached, such as a list of nothing.
    fn owner(self, value: &Self::Value) -> Option<&str>;
    /// Its text, unstamped.
    fn raw(self, value: &Self::Value) -> Raw;
    /// What the text says; `None` for what we never write.
    fn parse(self, raw: &Raw) -> Option<Self::Value>;
    /// The form in which this process answers with it.
    fn encode(self, value: &Self::Value) -> EncodedValue;
    /// Whether the database is away, rather than unwilling.
    fn is_away(error: &Self::Error) -> bool;
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// This process.
    Memory,
    /// Redis.
    Redis,
    /// The database.
    Database,
}

impl Source {
    /// Its word in the metadata of answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
            Self::Database => "database",
        }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<V> {
    /// As this process keeps it.
    Encoded(EncodedValue),
    /// As the app knows it.
    Value(V),
}

/// A value, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheLookup<V> {
    /// It.
    pub answer: Answer<V>,
    /// Where it was.
    pub source: Source,
    /// With the database away: how long ago nothing could yet be wrong with it.
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

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct ReadRequest<'a> {
    /// It.
    pub key: Key,
    /// By whom: what is another owner's does not exist.
    pub owner: &'a str,
    /// How old it may be while the database is away.
    pub max_staleness: Option<Duration>,
}

/// In which form a message goes on top of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueFormat {
    /// In none: lists are not kept.
    None,
    /// As text for Redis.
    Text,
    /// As this process holds it.
    Encoded,
}

pub(crate) enum Place {
    Off,
    Memory(Arc<Near>),
    Shared {
        remote: Arc<dyn Remote>,
        copies: Option<Copies>,
    },
}

pub(crate) struct Copies {
    pub(crate) near: Arc<Near>,
    pub(crate) tracking: Arc<dyn Tracking>,
}

/// The tier that instances share, and the connection that hears of writes to it.
pub struct Shared {
    /// The tier.
    pub remote: Arc<dyn Remote>,
    /// The connection; without one nothing is copied into this process.
    pub tracking: Option<Arc<dyn Tracking>>,
}

/// The epoch of what only this process holds.
pub(crate) const ALONE: i64 = 0;
/// Most bytes of a list that is cached.
pub(crate) const MAX_LIST: usize = 1024 * 1024;

/// The cache.
pub struct Cache {
    pub(crate) settings: CacheSettings,
    pub(crate) place: Place,
    pub(crate) gate: Gate,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) patience: Arc<Patience>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) settled: watch::Sender<bool>,
    /// The database has been compared with the marker in the shared tier.
    pub(crate) compared: watch::Sender<bool>,
    /// The database server that was not accepted yet, and since when it has answered.
    pub(crate) uncompared: Mutex<Option<(String, Instant)>>,
    /// The database that answered the last pass of an instance that serves from its own memory, and the number of that pass.
    pub(crate) counted: Mutex<Option<(String, i64)>>,
    /// Keys that were hit of late: what the auditor looks at.
    pub(crate) seen: crate::sample::Seen,
}

impl Cache {
    /// Of a backend. `Memory` and `Off` need no shared tier; without one, `Redis` and `Hybrid` are `Off`.
    pub fn new(
        settings: CacheSettings,
        shared: Option<Shared>,
        ledger: Arc<dyn Ledger>,
    ) -> Arc<Self> {
        let stats = Arc::new(Stats::new());
        let near = || Arc::new(Near::new(settings.max_entries, settings.max_bytes));
        let place = match (settings.backend, shared) {
            (Backend::Memory, _) => Place::Memory(near()),
            (Backend::Redis, Some(Shared { remote, .. })) => Place::Shared {
                remote,
                copies: None,
            },
            (Backend::Hybrid, Some(Shared { remote, tracking })) => {
                let copies = tracking.map(|tracking| {
                    let near = near();
                    tracking.listen(Arc::new(Ear {
                        near: Arc::clone(&near),
                        stats: Arc::clone(&stats),
                    }));
                    Copies { near, tracking }
                });
                Place::Shared { remote, copies }
            }
            (Backend::Off, _) | (Backend::Redis | Backend::Hybrid, None) => Place::Off,
        };
        let compared = watch::Sender::new(!matches!(place, Place::Shared { .. }));
        let (settled, _) = watch::channel(false);
        Arc::new(Self {
            patience: Patience::new(settings.stall_timeout),
            gate: Gate::shut(Arc::clone(&settings.clock), settings.margin),
            settings,
            place,
            ledger,
            flights: Flights::new(),
            stats,
            settled,
            compared,
            uncompared: Mutex::default(),
            counted: Mutex::default(),
            seen: crate::sample::Seen::new(),
        })
    }

    /// Tells how long every operation took, besides counting it.
    pub fn watch(&self, watcher: impl Fn(Sample, Duration) + Send + Sync + 'static) {
        self.stats.watch(Box::new(watcher));
    }

    /// In which form a message goes on top of a list.
    pub fn value_format(&self) -> ValueFormat {
        match &self.place {
            Place::Off => ValueFormat::None,
            Place::Memory(_) => ValueFormat::Encoded,
            Place::Shared { .. } => ValueFormat::Text,
        }
    }

    /// How it is set up.
    pub const fn settings(&self) -> &CacheSettings {
        &self.settings
    }

    /// Whether the instances tell one another of themselves: where others may write, and for a shared tier.
    pub(crate) fn keeps_a_gate(&self) -> bool {
        match &self.place {
            Place::Shared { .. } => true,
            Place::Off | Place::Memory(_) => self.settings.shared_database,
        }
    }

    /// Whether what this process alone holds may be used.
    pub(crate) fn memory_is_open(&self) -> bool {
        !self.settings.shared_database || self.gate.epoch().is_some()
    }

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
    /// From now on copies are kept whatever was heard meanwhile.
    pub(crate) fn forget_the_fill_guard(&self) {
        if let Place::Shared {
            copies: Some(copies),
            ..
        } = &self.place
        {
            copies
                .near
                .unguarded
                .store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
}

/// Hears for the copies.
struct Ear {
    near: Arc<Near>,
    stats: Arc<Stats>,
}

impl InvalidationHandler for Ear {
    fn live(&self) {
        self.near.hear();
    }

    fn changed(&self, key: Key) {
        if key == Key::EVERYTHING {
            self.near.empty();
        } else if self.near.changed(key) {
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
        self.near.lose();
    }
}

/// The words of the log, which operators search for.
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

/// The same in the middle of a line.
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

/// A message as it goes on top of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestEntry {
    /// Its place in the conversation.
    pub sequence: i64,
    /// In the form that [`Cache::value_format`] says.
    pub element: Bytes,
}
