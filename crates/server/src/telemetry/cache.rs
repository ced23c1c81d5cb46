//! What an operator sees of the cache: what it was asked and what came of it, how long that took, what it holds, whether it is
//! used, and whether the auditor has found anything.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram, Histogram};
use parlance_app::cache::CacheAdmin;
use parlance_cache::redis::{BreakerState, RedisTier};
use parlance_cache::{
    Backend, Cache, Kind, MemoryStatus, Operation, Outcome, RemoteStats, Sample, Tier,
};

use super::metrics::Metrics;

/// In seconds: from a look into this process to a Redis that does not answer.
const BUCKETS: [f64; 14] = [
    0.000_001, 0.000_005, 0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005,
    0.01, 0.025, 0.05, 0.1,
];

/// How often that is looked at which costs something.
const INTERVAL: Duration = Duration::from_secs(5);

/// What was found when it was last looked at.
#[derive(Debug, Default)]
struct Polled {
    near: Vec<(Kind, MemoryStatus)>,
    remote: Option<RemoteStats>,
}

/// Shows the cache in the metrics.
pub(crate) fn watch(
    metrics: &Metrics,
    cache: &Arc<Cache>,
    tier: Option<&Arc<RedisTier>>,
    desk: &Arc<CacheAdmin>,
) {
    count_operations(metrics, cache);
    time_operations(metrics, cache);
    let polled: Arc<Mutex<Polled>> = Arc::default();
    show_held(metrics, &polled);
    show_gate(metrics, cache);
    if let Some(tier) = tier {
        show_redis(metrics, tier, &polled);
    }
    show_audit(metrics, desk);
    let backend = cache.backend().as_str();
    metrics.gauge(
        "parlance_cache_info",
        "the backend that is in force",
        move |observe| observe(1, &[KeyValue::new("backend", backend)]),
    );
    tokio::spawn(poll(Arc::clone(cache), polled));
}

async fn poll(cache: Arc<Cache>, polled: Arc<Mutex<Polled>>) {
    loop {
        let near = cache.memory_status();
        let remote = cache.remote_stats().await.and_then(Result::ok);
        *lock(&polled) = Polled { near, remote };
        tokio::time::sleep(INTERVAL).await;
    }
}

fn lock(polled: &Mutex<Polled>) -> std::sync::MutexGuard<'_, Polled> {
    polled.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every series that has counted something.
fn count_operations(metrics: &Metrics, cache: &Arc<Cache>) {
    let cache = Arc::clone(cache);
    metrics.counter(
        "cache_operations",
        "what the tiers of the cache were asked, and what came of it",
        move |observe| {
            for (sample, count) in cache.counts() {
                let Sample {
                    kind,
                    tier,
                    operation,
                    outcome,
                } = sample;
                observe(
                    count,
                    &[
                        KeyValue::new("operation", operation.as_str()),
                        KeyValue::new("result", outcome.as_str()),
                        KeyValue::new("kind", kind.as_str()),
                        KeyValue::new("tier", tier.as_str()),
                    ],
                );
            }
        },
    );
}

const SERIES: usize = Kind::ALL.len() * Tier::ALL.len() * Outcome::ALL.len();

/// How long operations of one kind took. A series is looked up by its labels once, when it first counts: a hit in this process
/// takes less than that does.
struct Times {
    seconds: Histogram<f64>,
    series: [OnceLock<BoundHistogram<f64>>; SERIES],
}

impl Times {
    fn new(metrics: &Metrics, name: &'static str, description: &'static str) -> Self {
        let histogram = metrics.meter().f64_histogram(name);
        let histogram = histogram.with_unit("s").with_description(description);
        Self {
            seconds: histogram.with_boundaries(BUCKETS.into()).build(),
            series: [const { OnceLock::new() }; SERIES],
        }
    }

    fn record(&self, sample: Sample, took: Duration) {
        let Sample {
            kind,
            tier,
            operation: _,
            outcome,
        } = sample;
        let index = (kind as usize * Tier::ALL.len() + tier as usize) * Outcome::ALL.len();
        let Some(series) = self.series.get(index + outcome as usize) else {
            return;
        };
        series
            .get_or_init(|| {
                self.seconds.bind(&[
                    KeyValue::new("result", outcome.as_str()),
                    KeyValue::new("kind", kind.as_str()),
                    KeyValue::new("tier", tier.as_str()),
                ])
            })
            .record(took.as_secs_f64());
    }
}

fn time_operations(metrics: &Metrics, cache: &Arc<Cache>) {
    let times = |name, description| Times::new(metrics, name, description);
    let get = times(
        "parlance_cache_get",
        "how long a tier took to answer a read, or to have nothing",
    );
    let set = times("parlance_cache_set", "how long a tier took to take a value");
    let invalidate = times(
        "parlance_cache_invalidate",
        "how long it took after a commit until the values that it ended were gone",
    );
    cache.watch(move |sample, took| match sample.operation {
        Operation::Get => get.record(sample, took),
        Operation::Set => set.record(sample, took),
        // What another instance has written is heard of, and nobody waits for that.
        Operation::Invalidate if took.is_zero() => {}
        Operation::Invalidate => invalidate.record(sample, took),
    });
}

/// What this process holds.
fn show_held(metrics: &Metrics, polled: &Arc<Mutex<Polled>>) {
    let shown = Arc::clone(polled);
    metrics.gauge(
        "parlance_cache_entries",
        "values in this process",
        move |observe| {
            for (kind, status) in &lock(&shown).near {
                observe(whole(status.entries), &[of(*kind)]);
            }
        },
    );
    let shown = Arc::clone(polled);
    metrics.gauge(
        "parlance_cache_bytes",
        "bytes of the values in this process",
        move |observe| {
            for (kind, status) in &lock(&shown).near {
                observe(whole(status.bytes), &[of(*kind)]);
            }
        },
    );
    let shown = Arc::clone(polled);
    metrics.counter(
        "parlance_cache_evictions",
        "values that left this process to make room",
        move |observe| {
            for (kind, status) in &lock(&shown).near {
                observe(status.evictions, &[of(*kind)]);
            }
        },
    );
}

/// Whether what is cached may be used; nothing where there is nobody to wait for.
fn show_gate(metrics: &Metrics, cache: &Arc<Cache>) {
    let gate = Arc::clone(cache);
    metrics.gauge(
        "parlance_cache_gate",
        "1 while cached values may be served",
        move |observe| {
            // Without a cache the gate never opens, and that is no trouble.
            let cached = gate.backend() != Backend::Off;
            if let Some(gate) = gate.gate().filter(|_| cached) {
                observe(gate.open.into(), &[]);
            }
        },
    );
    let gate = Arc::clone(cache);
    metrics.gauge(
        "parlance_cache_claim_refused",
        "1 while another installation uses the Redis database, so that nothing is cached",
        move |observe| {
            if let Some(gate) = gate.gate() {
                observe(gate.refused.into(), &[]);
            }
        },
    );
    let gate = Arc::clone(cache);
    metrics.gauge(
        "parlance_cache_pending",
        "keys that a write could not tell the cache of, as last counted",
        move |observe| {
            if let Some(gate) = gate.gate() {
                observe(whole(gate.pending), &[]);
            }
        },
    );
    let gate = Arc::clone(cache);
    metrics.seconds(
        "parlance_cache_drained_ago",
        "since the last drain that ended had begun",
        move || gate.gate().and_then(|gate| gate.reconciled),
    );
    let gate = Arc::clone(cache);
    metrics.counter(
        "parlance_cache_clock_steps",
        "steps of the database's clock beyond CACHE_CLOCK_MARGIN_MS, each of which shut the gate for 3 s",
        move |observe| {
            if let Some(gate) = gate.gate() {
                observe(gate.clock.steps, &[]);
            }
        },
    );
    let gate = Arc::clone(cache);
    metrics.seconds(
        "parlance_cache_clock_skew",
        "largest skew that the database's clock has shown against the clock of this process since the start",
        move || gate.gate().map(|gate| gate.clock.largest_skew),
    );
    let hears = Arc::clone(cache);
    metrics.gauge(
        "parlance_cache_tracking_live",
        "1 while this process hears what others write",
        move |observe| {
            if let Some(hears) = hears.is_receiving_invalidations() {
                observe(hears.into(), &[]);
            }
        },
    );
}

fn show_redis(metrics: &Metrics, tier: &Arc<RedisTier>, polled: &Arc<Mutex<Polled>>) {
    let breaker = Arc::clone(tier);
    metrics.gauge(
        "parlance_cache_breaker",
        "1 while Redis is not asked, since it has not answered for a while",
        move |observe| observe((breaker.breaker() == BreakerState::Open).into(), &[]),
    );
    let shown = Arc::clone(polled);
    metrics.gauge(
        "parlance_cache_redis_used_bytes",
        "bytes that Redis uses",
        move |observe| {
            if let Some(remote) = lock(&shown).remote {
                observe(whole(remote.used_bytes), &[]);
            }
        },
    );
    let shown = Arc::clone(polled);
    metrics.gauge(
        "parlance_cache_redis_max_bytes",
        "bytes that Redis may use; 0 without a limit",
        move |observe| {
            if let Some(remote) = lock(&shown).remote {
                observe(whole(remote.max_bytes), &[]);
            }
        },
    );
    let shown = Arc::clone(polled);
    metrics.counter(
        "parlance_cache_redis_evicted_keys",
        "keys that left Redis to make room",
        move |observe| {
            if let Some(remote) = lock(&shown).remote {
                observe(remote.evicted, &[]);
            }
        },
    );
}

fn show_audit(metrics: &Metrics, desk: &Arc<CacheAdmin>) {
    let audited = Arc::clone(desk.audited());
    metrics.counter(
        "parlance_cache_audit_checked",
        "cached values that were compared with the database",
        move |observe| {
            for (kind, checked, _) in audited.by_kind() {
                observe(checked, &[of(kind)]);
            }
        },
    );
    let audited = Arc::clone(desk.audited());
    metrics.counter(
        "parlance_cache_audit_violations",
        "cached values that were not what the database said; must be 0",
        move |observe| {
            for (kind, _, violations) in audited.by_kind() {
                observe(violations, &[of(kind)]);
            }
        },
    );
}

fn of(kind: Kind) -> KeyValue {
    KeyValue::new("kind", kind.as_str())
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
