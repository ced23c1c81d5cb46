//! The result of a row.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use parlance_testkit::history::{Report, Rule, Violation};
use parlance_tests::cluster::versions;
use tonic::Status;

/// Counts of a running load.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    by_tier: Mutex<BTreeMap<String, usize>>,
    by_code: Mutex<BTreeMap<String, usize>>,
    slowest_write: Mutex<Duration>,
    leaks: AtomicUsize,
}

fn add(counts: &Mutex<BTreeMap<String, usize>>, key: String) {
    let mut counts = counts.lock();
    *counts.entry(key).or_default() += 1;
}

fn copy<T: Clone>(shared: &Mutex<T>) -> T {
    shared.lock().clone()
}

impl Counts {
    /// A response from a tier, by the tier's name in the response.
    pub(crate) fn answered(&self, tier: &str) {
        add(&self.by_tier, tier.to_owned());
    }

    pub(crate) fn refused(&self, status: &Status) {
        add(&self.by_code, format!("{:?}", status.code()));
    }

    pub(crate) fn wrote(&self, took: Duration) {
        let mut slowest = self.slowest_write.lock();
        *slowest = took.max(*slowest);
    }

    /// A response contained another owner's record.
    pub(crate) fn leaked(&self) {
        self.leaks.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leaks(&self) -> usize {
        self.leaks.load(Ordering::Relaxed)
    }

    pub(crate) fn outcome(
        &self,
        name: &str,
        (seed, took): (u64, Duration),
        report: Report,
    ) -> Outcome {
        Outcome {
            name: name.to_owned(),
            seed,
            took,
            report,
            by_tier: copy(&self.by_tier),
            by_code: copy(&self.by_code),
            slowest_write: copy(&self.slowest_write),
            leaks: self.leaks(),
        }
    }
}

/// Prints the figures of a run.
#[expect(clippy::print_stdout, reason = "figures for the person who runs it")]
pub(crate) fn print(figures: impl fmt::Display) {
    println!("{figures}");
}

#[derive(Debug)]
pub(crate) struct Outcome {
    name: String,
    seed: u64,
    took: Duration,
    pub(crate) report: Report,
    by_tier: BTreeMap<String, usize>,
    by_code: BTreeMap<String, usize>,
    slowest_write: Duration,
    /// Responses with another owner's record.
    pub(crate) leaks: usize,
}

impl Outcome {
    /// Prints the figures, also when all is well.
    pub(crate) fn print(&self) {
        print(self);
    }

    /// Asserts that no read was stale, not even before an acknowledgement.
    #[track_caller]
    pub(crate) fn assert_never_stale(&self) {
        self.assert_fresh();
        assert!(self.report.is_clean(), "{self}");
    }

    /// Asserts that no read was older than an acknowledged write. During a fault, readers may see an unacknowledged
    /// write at different times.
    #[track_caller]
    pub(crate) fn assert_fresh(&self) {
        assert!(self.broken().is_empty(), "{self}");
        assert_eq!(self.leaks, 0, "{self}");
        assert!(self.report.races > 0, "nothing was tested: {self}");
    }

    /// Asserts that no read was staler than the limit.
    #[track_caller]
    pub(crate) fn assert_no_staler_than(&self, limit: Duration) {
        let is_stale = |v: &&Violation| v.rule == Rule::StaleAfterAck;
        assert!(self.broken().iter().all(is_stale), "{self}");
        assert!(self.report.stalest() <= limit, "{self}");
        assert_eq!(self.leaks, 0, "{self}");
        assert!(self.report.races > 0, "nothing was tested: {self}");
    }

    /// Percentage of cacheable reads that were hits.
    fn hit_rate(&self) -> usize {
        let from = |tier: &str| self.by_tier.get(tier).copied().unwrap_or(0);
        let hits = from("memory") + from("redis");
        100 * hits / (hits + from("database")).max(1)
    }

    /// Reads older than an acknowledged write, and inconsistent reads.
    pub(crate) fn broken(&self) -> Vec<&Violation> {
        let violations = self.report.violations.iter();
        violations
            .filter(|violation| violation.rule != Rule::NewThenOld)
            .collect()
    }

    /// Asserts that no call failed.
    #[track_caller]
    pub(crate) fn assert_unnoticed(&self) {
        assert!(self.by_code.is_empty(), "{self}");
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, seed {}, {:.1?}, {}: slowest write {:.0?}, responses from {:?}, {} % hits, errors {:?}, leaks {}, {}",
            self.name,
            self.seed,
            self.took,
            versions(),
            self.slowest_write,
            self.by_tier,
            self.hit_rate(),
            self.by_code,
            self.leaks,
            self.report
        )
    }
}
