//! Cache metrics: operations and their results, latencies, contents, gate and connections, and violations that the auditor found.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram, Histogram};
use parking_lot::Mutex;
use parlance_app::cache_admin::CacheAdmin;
use parlance_cache::{
    Backend, BreakerState, Cache, Kind, MemoryStatus, Operation, Outcome, RemoteHealth,
    RemoteStats, Sample, Tier,
};

use super::metrics::Metrics;

/// Histogram buckets in seconds: from a read of this process's memory to a Redis that does not answer.
const BUCKETS: [f64; 14] = [
    0.000_001, 0.000_005, 0.000_01, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005,
    0.01, 0.025, 0.05, 0.1,
];

/// Histogram buckets of degraded writes, in seconds: around the time for which an instance serves after a reconciliation pass.
const WAIT_BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5];

/// Interval of the reads that are too expensive to make for each scrape.
const INTERVAL: Duration = Duration::from_secs(5);

/// Result of the last poll.
#[derive(Debug, Default)]
struct Polled {
    memory: Vec<(Kind, MemoryStatus)>,
    remote: Option<RemoteStats>,
}

/// Registers the metrics of the cache.
pub(crate) fn watch(
    metrics: &Metrics,
    cache: &Arc<Cache>,
    redis: Option<&Arc<dyn RemoteHealth>>,
    admin: &Arc<CacheAdmin>,
) {
    count_operations(metrics, cache);
    time_operations(metrics, cache);
    time_waits(metrics, cache);
    let polled: Arc<Mutex<Polled>> = Arc::default();
    register_memory(metrics, &polled);
    register_gate(metrics, cache);
    if let Some(redis) = redis {
        register_redis(metrics, redis, &polled);
    }
    register_audit(metrics, admin);
    let backend = cache.backend().as_str();
    metrics.gauge(
        "parlance_cache_info",
        "the active cache backend",
        move |observe| observe(1, &[KeyValue::new("backend", backend)]),
    );
    tokio::spawn(poll(Arc::clone(cache), polled));
}

async fn poll(cache: Arc<Cache>, polled: Arc<Mutex<Polled>>) {
    loop {
        let memory = cache.memory_status();
        let remote = cache.remote_stats().await.and_then(Result::ok);
        *polled.lock() = Polled { memory, remote };
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Registers the counter of operations; it has a series for every combination of labels that has occurred.
fn count_operations(metrics: &Metrics, cache: &Arc<Cache>) {
    let cache = Arc::clone(cache);
    metrics.counter(
        "cache_operations",
        "operations on the tiers of the cache, by result",
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

/// Latency histogram of one operation. A series is looked up by its labels once, when it first counts: a hit in this process takes
/// less time than the lookup.
struct Latencies {
    seconds: Histogram<f64>,
    series: [OnceLock<BoundHistogram<f64>>; SERIES],
}

impl Latencies {
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
    let latencies = |name, description| Latencies::new(metrics, name, description);
    let get = latencies(
        "parlance_cache_get",
        "time that a tier took to answer a read, hit or miss",
    );
    let set = latencies(
        "parlance_cache_set",
        "time that a tier took to store a value",
    );
    let invalidate = latencies(
        "parlance_cache_invalidate",
        "time from a commit until the values that it made obsolete were gone",
    );
    cache.watch(move |sample, took| match sample.operation {
        Operation::Get => get.record(sample, took),
        Operation::Set => set.record(sample, took),
        // A notification about a write of another instance; no caller waits for it.
        Operation::Invalidate if took.is_zero() => {}
        Operation::Invalidate => invalidate.record(sample, took),
    });
}

/// Registers the histogram of the waits of degraded writes.
fn time_waits(metrics: &Metrics, cache: &Arc<Cache>) {
    let seconds = metrics
        .meter()
        .f64_histogram("parlance_cache_degraded_wait")
        .with_unit("s")
        .with_description("time that a write without the shared cache waited until no instance could serve the older value")
        .with_boundaries(WAIT_BUCKETS.into())
        .build();
    cache.watch_waits(move |waited| seconds.record(waited.as_secs_f64(), &[]));
}

/// Registers the metrics of the in-process cache.
fn register_memory(metrics: &Metrics, polled: &Arc<Mutex<Polled>>) {
    let shown = Arc::clone(polled);
    metrics.gauge(
        "parlance_cache_entries",
        "values in the in-process cache",
        move |observe| {
            for (kind, status) in &shown.lock().memory {
                observe(whole(status.entries), &[of(*kind)]);
            }
        },
    );
    let shown = Arc::clone(polled);
    metrics.gauge(
        "parlance_cache_bytes",
        "bytes of the values in the in-process cache",
        move |observe| {
            for (kind, status) in &shown.lock().memory {
                observe(whole(status.bytes), &[of(*kind)]);
            }
        },
    );
    let shown = Arc::clone(polled);
    metrics.counter(
        "parlance_cache_evictions",
        "values evicted from the in-process cache to make room",
        move |observe| {
            for (kind, status) in &shown.lock().memory {
                observe(status.evictions, &[of(*kind)]);
            }
        },
    );
}

/// Registers the metrics of the gate and of the invalidation connection. A cache without a gate has no series.
fn register_gate(metrics: &Metrics, cache: &Arc<Cache>) {
    let gate = Arc::clone(cache);
    metrics.gauge(
        "parlance_cache_gate",
        "1 while cached values may be served",
        move |observe| {
            // Without a cache the gate never opens, which is not a fault.
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
        "keys of degraded writes that are not yet invalidated in Redis, as last counted",
        move |observe| {
            if let Some(gate) = gate.gate() {
                observe(whole(gate.pending), &[]);
            }
        },
    );
    let gate = Arc::clone(cache);
    metrics.seconds(
        "parlance_cache_drained_ago",
        "time since the start of the last completed reconciliation pass",
        move || gate.gate().and_then(|gate| gate.reconciled),
    );
    let gate = Arc::clone(cache);
    metrics.counter(
        "parlance_cache_clock_steps",
        "steps of the database's clock beyond CACHE_CLOCK_MARGIN_MS; each closed the gate for 3 s",
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
    let tracking = Arc::clone(cache);
    metrics.gauge(
        "parlance_cache_tracking_live",
        "1 while this process receives the invalidations of other instances",
        move |observe| {
            if let Some(live) = tracking.is_receiving_invalidations() {
                observe(live.into(), &[]);
            }
        },
    );
}

fn register_redis(metrics: &Metrics, redis: &Arc<dyn RemoteHealth>, polled: &Arc<Mutex<Polled>>) {
    let breaker = Arc::clone(redis);
    metrics.gauge(
        "parlance_cache_breaker",
        "1 while the circuit breaker is open and Redis is not used",
        move |observe| observe((breaker.breaker() == BreakerState::Open).into(), &[]),
    );
    let shown = Arc::clone(polled);
    metrics.gauge(
        "parlance_cache_redis_used_bytes",
        "memory used by Redis, in bytes",
        move |observe| {
            if let Some(remote) = shown.lock().remote {
                observe(whole(remote.used_bytes), &[]);
            }
        },
    );
    let shown = Arc::clone(polled);
    metrics.gauge(
        "parlance_cache_redis_max_bytes",
        "memory limit of Redis, in bytes; 0 without a limit",
        move |observe| {
            if let Some(remote) = shown.lock().remote {
                observe(whole(remote.max_bytes), &[]);
            }
        },
    );
    let shown = Arc::clone(polled);
    metrics.counter(
        "parlance_cache_redis_evicted_keys",
        "keys evicted from Redis to make room",
        move |observe| {
            if let Some(remote) = shown.lock().remote {
                observe(remote.evicted, &[]);
            }
        },
    );
}

fn register_audit(metrics: &Metrics, admin: &Arc<CacheAdmin>) {
    let audited = Arc::clone(admin.audited());
    metrics.counter(
        "parlance_cache_audit_checked",
        "cached values that were compared with the database",
        move |observe| {
            for (kind, checked, _) in audited.by_kind() {
                observe(checked, &[of(kind)]);
            }
        },
    );
    let audited = Arc::clone(admin.audited());
    metrics.counter(
        "parlance_cache_audit_violations",
        "cached values that differed from the database; must be 0",
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
