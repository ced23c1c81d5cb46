//! Counters of cache operations.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::key::Kind;

/// Tier of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// In this process.
    Memory,
    /// In Redis.
    Redis,
}

impl Tier {
    /// All tiers.
    pub const ALL: [Self; 2] = [Self::Memory, Self::Redis];

    /// Name in metrics, statistics and metadata.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}

/// Operation on a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Lookup of a value.
    Get,
    /// Store of a value.
    Set,
    /// Invalidation of a value.
    Invalidate,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 3] = [Self::Get, Self::Set, Self::Invalidate];

    /// Name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Invalidate => "invalidate",
        }
    }
}

/// Outcome of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The value was found.
    Hit,
    /// The value was absent.
    Miss,
    /// The value was not readable, of another epoch, or of another owner.
    Spoiled,
    /// The operation succeeded.
    Ok,
    /// The value was not stored, because of a concurrent write or its size.
    Refused,
    /// The tier was not asked, because the gate is shut.
    Gate,
    /// The tier did not answer, or answered with an error.
    Error,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 7] = [
        Self::Hit,
        Self::Miss,
        Self::Spoiled,
        Self::Ok,
        Self::Refused,
        Self::Gate,
        Self::Error,
    ];

    /// Name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Spoiled => "spoiled",
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Gate => "gate",
            Self::Error => "error",
        }
    }
}

/// Operation on one key, for counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Kind of the key.
    pub kind: Kind,
    /// Tier of the operation.
    pub tier: Tier,
    /// The operation.
    pub operation: Operation,
    /// Its outcome.
    pub outcome: Outcome,
}

const SERIES: usize = Kind::ALL.len() * Tier::ALL.len() * Operation::ALL.len() * Outcome::ALL.len();

type Watcher = Box<dyn Fn(Sample, Duration) + Send + Sync>;
type WaitWatcher = Box<dyn Fn(Duration) + Send + Sync>;

/// Counters of all operations since the start.
pub(crate) struct Stats {
    counts: [AtomicU64; SERIES],
    /// Callback that receives the duration of each operation.
    watcher: OnceLock<Watcher>,
    /// Callback that receives how long each degraded write waited for the other instances.
    wait_watcher: OnceLock<WaitWatcher>,
}

fn index(sample: Sample) -> usize {
    let Sample {
        kind,
        tier,
        operation,
        outcome,
    } = sample;
    ((kind.index() * Tier::ALL.len() + tier as usize) * Operation::ALL.len() + operation as usize)
        * Outcome::ALL.len()
        + outcome as usize
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            watcher: OnceLock::new(),
            wait_watcher: OnceLock::new(),
        }
    }

    pub(crate) fn watch(&self, watcher: Watcher) {
        let _ = self.watcher.set(watcher);
    }

    pub(crate) fn watch_waits(&self, watcher: WaitWatcher) {
        let _ = self.wait_watcher.set(watcher);
    }

    pub(crate) fn waited(&self, time: Duration) {
        if let Some(watcher) = self.wait_watcher.get() {
            watcher(time);
        }
    }

    pub(crate) fn count(&self, sample: Sample, took: Duration) {
        self.counts[index(sample)].fetch_add(1, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.get() {
            watcher(sample, took);
        }
    }

    /// Returns every series with a count above zero.
    pub(crate) fn counts(&self) -> Vec<(Sample, u64)> {
        let mut counts = Vec::new();
        for kind in Kind::ALL {
            for tier in Tier::ALL {
                for operation in Operation::ALL {
                    for outcome in Outcome::ALL {
                        let sample = Sample {
                            kind,
                            tier,
                            operation,
                            outcome,
                        };
                        let count = self.counts[index(sample)].load(Ordering::Relaxed);
                        if count > 0 {
                            counts.push((sample, count));
                        }
                    }
                }
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_counted_separately() {
        let stats = Stats::new();
        let mut expected = Vec::new();
        let mut n = 0;
        for kind in Kind::ALL {
            for tier in Tier::ALL {
                for operation in Operation::ALL {
                    for outcome in Outcome::ALL {
                        n += 1;
                        let sample = Sample {
                            kind,
                            tier,
                            operation,
                            outcome,
                        };
                        for _ in 0..n {
                            stats.count(sample, Duration::ZERO);
                        }
                        expected.push((sample, n));
                    }
                }
            }
        }
        assert_eq!(stats.counts(), expected);
    }
}
