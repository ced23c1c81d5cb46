//! What the cache counts.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::key::Kind;

/// Where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// In this process.
    Memory,
    /// In Redis.
    Redis,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Memory, Self::Redis];

    /// Its word in metrics, statistics and metadata.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A value was asked for.
    Get,
    /// A value was to be put there.
    Set,
    /// A value was to go.
    Invalidate,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Get, Self::Set, Self::Invalidate];

    /// Its word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Invalidate => "invalidate",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It was there.
    Hit,
    /// It was not.
    Miss,
    /// What was there is not ours, or not of this epoch, or another owner's.
    Spoiled,
    /// Done.
    Ok,
    /// Not done, since a write came between, or it is too large.
    Refused,
    /// Not asked, since the gate is shut.
    Gate,
    /// The tier did not answer, or refused.
    Error,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Hit,
        Self::Miss,
        Self::Spoiled,
        Self::Ok,
        Self::Refused,
        Self::Gate,
        Self::Error,
    ];

    /// Its word in metrics.
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

/// One operation on one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Of what.
    pub kind: Kind,
    /// Where.
    pub tier: Tier,
    /// What was done.
    pub operation: Operation,
    /// What came of it.
    pub outcome: Outcome,
}

const SERIES: usize = Kind::ALL.len() * Tier::ALL.len() * Operation::ALL.len() * Outcome::ALL.len();

type Watcher = Box<dyn Fn(Sample, Duration) + Send + Sync>;

/// Counts of everything, since the start.
pub(crate) struct Stats {
    counts: [AtomicU64; SERIES],
    /// Who wants to know how long each took.
    watcher: OnceLock<Watcher>,
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
        }
    }

    pub(crate) fn watch(&self, watcher: Watcher) {
        let _ = self.watcher.set(watcher);
    }

    pub(crate) fn count(&self, sample: Sample, took: Duration) {
        self.counts[index(sample)].fetch_add(1, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.get() {
            watcher(sample, took);
        }
    }

    /// Every series that has counted something, and how much.
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
    fn every_series_counts_for_itself() {
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
