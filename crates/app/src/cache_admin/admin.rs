//! Administration of the cache: statistics, state, invalidation.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use parlance_cache::{
    Backend, BreakerState, Cache, Fault, GateState, Key, Kind, MemoryStatus, Operation, Outcome,
    RemoteHealth, RemoteStats, Tier,
};
use uuid::Uuid;

use super::guarantee::guarantee;
use crate::App;
use crate::cache::keys::is_value;
use crate::error::{Error, Reason, Result};

/// Keys that are looked up concurrently.
const AT_ONCE: usize = 64;
/// How long a caller waits before it retries an invalidation that failed.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Administration of the cache by operators.
pub struct CacheAdmin {
    pub(crate) app: Arc<App>,
    /// Health of Redis, if configured.
    pub(crate) redis: Option<Arc<dyn RemoteHealth>>,
    /// Why the active backend differs from the configured one.
    pub(crate) note: String,
}

/// Counters of one tier for one kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierStats {
    /// The tier.
    pub tier: Tier,
    /// The kind of value.
    pub kind: Kind,
    /// Reads answered by the tier.
    pub hits: u64,
    /// Reads passed on to the next tier or the database.
    pub misses: u64,
    /// Operations that failed.
    pub errors: u64,
    /// Values stored.
    pub fills: u64,
    /// Values invalidated.
    pub invalidations: u64,
    /// Present contents; unknown for the tier that instances share.
    pub held: MemoryStatus,
}

impl TierStats {
    /// Share of hits among the reads that the tier could answer; 0 before the first read.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the rounding of counts beyond 2^52 is irrelevant for a ratio"
    )]
    pub fn hit_rate(&self) -> f64 {
        let all = self.hits + self.misses;
        if all == 0 {
            0.0
        } else {
            self.hits as f64 / all as f64
        }
    }
}

/// State of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateView {
    /// The backend needs no gate.
    None,
    /// Values may be served.
    Open,
    /// Values may not be served.
    Shut,
}

/// State of Redis as seen by this instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisState {
    /// Whether it answers.
    pub reachable: bool,
    /// State of the circuit breaker.
    pub breaker: BreakerState,
    /// Statistics of the Redis server, if it answers.
    pub stats: Option<RemoteStats>,
}

/// State of the cache of this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInfo {
    /// The active backend.
    pub backend: Backend,
    /// Why it differs from the configured one.
    pub note: String,
    /// State of Redis, if configured.
    pub redis: Option<RedisState>,
    /// State of the gate.
    pub gate: GateView,
    /// Why the gate is shut, or why the last reconciliation pass failed.
    pub gate_reason: String,
    /// The consistency guarantee at present.
    pub guarantee: String,
    /// Maximum age of a copy.
    pub max_staleness: Duration,
    /// The present epoch.
    pub epoch: Option<i64>,
    /// Rows that wait for reconciliation.
    pub pending_rows: u64,
    /// Time since the start of the last successful reconciliation pass.
    pub drained_ago: Option<Duration>,
    /// Whether this process receives invalidations of other instances' writes.
    pub tracking_live: bool,
    /// Values that the auditor has compared.
    pub audit_checked: u64,
    /// Violations that it has found.
    pub audit_violations: u64,
    /// The installation; its id is part of every scope.
    pub installation: Uuid,
}

/// What to invalidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalidation {
    /// These keys.
    Keys(Vec<Key>),
    /// Keys that match the glob.
    Pattern(String),
}

impl CacheAdmin {
    /// Creates the administration of an app's cache.
    pub fn new(app: Arc<App>, redis: Option<Arc<dyn RemoteHealth>>, note: String) -> Arc<Self> {
        Arc::new(Self { app, redis, note })
    }

    pub(crate) fn cache(&self) -> &Arc<Cache> {
        self.app.cache()
    }

    /// Counters since the start, for each tier and kind in use.
    pub fn stats(&self) -> Vec<TierStats> {
        let cache = self.cache();
        let counts = cache.counts();
        let memory = cache.memory_status();
        let mut all = Vec::new();
        for (tier, kind) in in_use(cache.backend()) {
            let sum = |wanted: &dyn Fn(Operation, Outcome) -> bool| {
                let ours = counts
                    .iter()
                    .filter(|(s, _)| s.tier == tier && s.kind == kind);
                ours.filter(|(s, _)| wanted(s.operation, s.outcome))
                    .map(|(_, count)| count)
                    .sum()
            };
            let held = memory
                .iter()
                .find(|(of, _)| tier == Tier::Memory && *of == kind);
            all.push(TierStats {
                tier,
                kind,
                hits: sum(&|operation, outcome| {
                    (operation, outcome) == (Operation::Get, Outcome::Hit)
                }),
                misses: sum(&|operation, outcome| operation == Operation::Get && is_miss(outcome)),
                errors: sum(&|_, outcome| outcome == Outcome::Error),
                fills: sum(&|operation, outcome| {
                    (operation, outcome) == (Operation::Set, Outcome::Ok)
                }),
                invalidations: sum(&|operation, outcome| {
                    (operation, outcome) == (Operation::Invalidate, Outcome::Ok)
                }),
                held: held.map(|(_, status)| *status).unwrap_or_default(),
            });
        }
        all
    }

    /// Configuration, state and present guarantee.
    pub async fn info(&self) -> CacheInfo {
        let cache = self.cache();
        let stats = cache.remote_stats().await.and_then(std::result::Result::ok);
        let backend = cache.backend();
        let gate = cache.gate().filter(|_| backend != Backend::Off);
        let (audit_checked, audit_violations) = self.app.audited.in_all();
        let redis = self.redis.as_ref().map(|redis| RedisState {
            reachable: redis.reachable(),
            breaker: redis.breaker(),
            stats,
        });
        CacheInfo {
            backend,
            note: self.note.clone(),
            redis,
            gate: view(gate.as_ref()),
            guarantee: guarantee(backend, gate.as_ref(), cache.settings().max_staleness),
            max_staleness: cache.settings().max_staleness,
            epoch: gate.as_ref().and_then(|gate| gate.epoch),
            pending_rows: gate.as_ref().map_or(0, |gate| gate.pending),
            drained_ago: gate.as_ref().and_then(|gate| gate.reconciled),
            gate_reason: gate.map(|gate| gate.trouble).unwrap_or_default(),
            tracking_live: cache.is_receiving_invalidations().unwrap_or(false),
            audit_checked,
            audit_violations,
            installation: self.app.settings.installation,
        }
    }

    /// Invalidates values here and at every other instance; returns how many existed.
    pub async fn invalidate(&self, what: Invalidation) -> Result<u64> {
        self.check_on()?;
        match what {
            Invalidation::Keys(mut keys) => {
                keys.sort_unstable();
                keys.dedup();
                let cache = self.cache();
                let existing = stream::iter(keys.clone())
                    .map(|key| cache.peek(key))
                    .buffer_unordered(AT_ONCE)
                    .filter(|found| std::future::ready(found.is_some()))
                    .count()
                    .await;
                // Unreadable values are invalidated, too, and not counted.
                cache.invalidate(&keys).await.map_err(unavailable)?;
                Ok(existing as u64)
            }
            Invalidation::Pattern(pattern) => self.invalidate_matching(&pattern).await,
        }
    }

    /// Invalidates all values; returns how many existed.
    pub async fn clear(&self) -> Result<u64> {
        self.check_on()?;
        self.invalidate_matching("*").await
    }

    async fn invalidate_matching(&self, pattern: &str) -> Result<u64> {
        let cache = self.cache();
        let keys = cache.keys(pattern).await.map_err(unavailable)?;
        cache.invalidate(&keys).await.map_err(unavailable)?;
        cache.invalidate_copies().await.map_err(unavailable)?;
        let values = keys.iter().filter(|key| is_value(key.kind()));
        Ok(values.count() as u64)
    }

    pub(crate) fn check_on(&self) -> Result<()> {
        if self.cache().backend() != Backend::Off {
            return Ok(());
        }
        let why = if self.note.is_empty() {
            "CACHE_BACKEND is off: nothing is cached"
        } else {
            &self.note
        };
        Err(Error::new(Reason::CacheOff, why))
    }
}

/// The tiers of a backend and the kinds that each holds: the in-process copies of `hybrid` are of single records.
fn in_use(backend: Backend) -> Vec<(Tier, Kind)> {
    let all = |tier| {
        Kind::ALL
            .into_iter()
            .filter(|k| is_value(*k))
            .map(move |k| (tier, k))
    };
    match backend {
        Backend::Off => Vec::new(),
        Backend::Memory => all(Tier::Memory).collect(),
        Backend::Redis => all(Tier::Redis).collect(),
        Backend::Hybrid => {
            let copied = [Kind::Message, Kind::Conversation];
            let copied = copied.map(|kind| (Tier::Memory, kind));
            copied.into_iter().chain(all(Tier::Redis)).collect()
        }
    }
}

/// A read that went on to the next tier or the database.
const fn is_miss(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Miss | Outcome::Spoiled | Outcome::Gate => true,
        Outcome::Hit | Outcome::Ok | Outcome::Refused | Outcome::Error => false,
    }
}

fn view(gate: Option<&GateState>) -> GateView {
    match gate {
        None => GateView::None,
        Some(gate) if gate.open => GateView::Open,
        Some(_) => GateView::Shut,
    }
}

fn unavailable(fault: Fault) -> Error {
    Error::new(Reason::CacheUnavailable, "the cache cannot be reached now")
        .retry_after(RETRY_AFTER)
        .caused_by(fault)
}
