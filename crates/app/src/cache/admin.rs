//! What an operator asks of the cache, and has it do.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use parlance_cache::redis::{BreakerState, RedisTier};
use parlance_cache::{
    Backend, Cache, Fault, GateState, Key, Kind, MemoryStatus, Operation, Outcome, RemoteStats,
    Tier,
};
use uuid::Uuid;

use super::guarantee::guarantee;
use crate::App;
use crate::error::{Error, Reason, Result};

/// So many keys are looked up side by side.
const AT_ONCE: usize = 64;
/// How long a caller waits before it tries again what the cache could not be told.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where operators ask.
pub struct CacheAdmin {
    pub(crate) app: Arc<App>,
    /// To Redis, where there is one.
    pub(crate) tier: Option<Arc<RedisTier>>,
    /// Why what is in force is not what was asked for.
    pub(crate) note: String,
}

/// What one tier has done for one kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TierStats {
    /// Which tier.
    pub tier: Tier,
    /// Of which kind.
    pub kind: Kind,
    /// Reads that were answered.
    pub hits: u64,
    /// Reads that went on.
    pub misses: u64,
    /// What the tier did not answer.
    pub errors: u64,
    /// Values that were put there.
    pub fills: u64,
    /// Values that were made to go.
    pub invalidations: u64,
    /// What is there; nothing is known of what instances share.
    pub held: MemoryStatus,
}

impl TierStats {
    /// Hits of reads that it could answer; 0 before the first.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share of counts beyond 2^52 is as good"
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

/// Whether values may be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateView {
    /// There is nothing to wait for.
    None,
    /// They may.
    Open,
    /// They may not.
    Shut,
}

/// Redis, as it is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedisState {
    /// Whether it answers.
    pub reachable: bool,
    /// Whether it is asked.
    pub breaker: BreakerState,
    /// What it says of itself, if it answers.
    pub stats: Option<RemoteStats>,
}

/// The cache of this instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInfo {
    /// What is in force.
    pub backend: Backend,
    /// Why that is not what was asked for.
    pub note: String,
    /// Redis, where there is one.
    pub redis: Option<RedisState>,
    /// Whether values may be served.
    pub gate: GateView,
    /// Why not, or what kept the last drain from ending.
    pub gate_reason: String,
    /// What a client may rely on now.
    pub guarantee: String,
    /// How old a copy may be.
    pub max_staleness: Duration,
    /// Under which number.
    pub epoch: Option<i64>,
    /// Rows that wait for a drain.
    pub pending_rows: u64,
    /// How long ago the last drain that ended had begun.
    pub drained_ago: Option<Duration>,
    /// Whether this process hears what others write.
    pub tracking_live: bool,
    /// What the auditor looked at.
    pub audit_checked: u64,
    /// What it found wrong.
    pub audit_violations: u64,
    /// The installation, whose id is part of every scope.
    pub installation: Uuid,
}

/// What is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalidation {
    /// These.
    Keys(Vec<Key>),
    /// What fits the glob.
    Pattern(String),
}

impl CacheAdmin {
    /// Of this app's cache.
    pub fn new(app: Arc<App>, tier: Option<Arc<RedisTier>>, note: String) -> Arc<Self> {
        Arc::new(Self { app, tier, note })
    }

    pub(crate) fn cache(&self) -> &Arc<Cache> {
        self.app.cache()
    }

    /// What has been counted since the start, of each tier and kind in use.
    pub fn stats(&self) -> Vec<TierStats> {
        let cache = self.cache();
        let counts = cache.counts();
        let near = cache.memory_status();
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
            let held = near
                .iter()
                .find(|(of, _)| tier == Tier::Memory && *of == kind);
            all.push(TierStats {
                tier,
                kind,
                hits: sum(&|did, came| (did, came) == (Operation::Get, Outcome::Hit)),
                misses: sum(&|did, came| did == Operation::Get && is_miss(came)),
                errors: sum(&|_, came| came == Outcome::Error),
                fills: sum(&|did, came| (did, came) == (Operation::Set, Outcome::Ok)),
                invalidations: sum(&|did, came| {
                    (did, came) == (Operation::Invalidate, Outcome::Ok)
                }),
                held: held.map(|(_, status)| *status).unwrap_or_default(),
            });
        }
        all
    }

    /// How it is set up, how it does, and what it promises now.
    pub async fn info(&self) -> CacheInfo {
        let cache = self.cache();
        let stats = cache.remote_stats().await.and_then(std::result::Result::ok);
        let backend = cache.backend();
        let gate = cache.gate().filter(|_| backend != Backend::Off);
        let (audit_checked, audit_violations) = self.app.audited.in_all();
        let redis = self.tier.as_ref().map(|tier| RedisState {
            reachable: tier.reachable(),
            breaker: tier.breaker(),
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

    /// Makes values go, here and at every other instance; how many there were.
    pub async fn invalidate(&self, what: Invalidation) -> Result<u64> {
        self.check_on()?;
        match what {
            Invalidation::Keys(mut keys) => {
                keys.sort_unstable();
                keys.dedup();
                let cache = self.cache();
                let there = stream::iter(keys.clone())
                    .map(|key| cache.peek(key))
                    .buffer_unordered(AT_ONCE)
                    .filter(|found| std::future::ready(found.is_some()))
                    .count()
                    .await;
                // What cannot be read as a value goes, too, and is not counted.
                cache.invalidate(&keys).await.map_err(unavailable)?;
                Ok(there as u64)
            }
            Invalidation::Pattern(pattern) => self.release(&pattern).await,
        }
    }

    /// Makes all values go; how many there were.
    pub async fn clear(&self) -> Result<u64> {
        self.check_on()?;
        self.release("*").await
    }

    async fn release(&self, pattern: &str) -> Result<u64> {
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

/// The generation of a scope is what values are good by, and none itself.
pub(crate) fn is_value(kind: Kind) -> bool {
    kind != Kind::Generation
}

/// The tiers of a backend, and what each keeps: copies are of single things.
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
    Error::new(Reason::CacheUnavailable, "the cache cannot be told now")
        .retry_after(RETRY_AFTER)
        .caused_by(fault)
}
