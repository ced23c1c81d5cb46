//! What came of a row.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use parlance_testkit::history::Report;
use tonic::Status;

/// What is counted while the load goes on.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    by_tier: Mutex<BTreeMap<String, usize>>,
    by_code: Mutex<BTreeMap<String, usize>>,
    slowest_write: Mutex<Duration>,
}

fn add(counts: &Mutex<BTreeMap<String, usize>>, key: String) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(key).or_default() += 1;
}

fn copy<T: Clone>(shared: &Mutex<T>) -> T {
    shared
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

impl Counts {
    /// An answer from a tier, by the name that the service gives it.
    pub(crate) fn answered(&self, tier: &str) {
        add(&self.by_tier, tier.to_owned());
    }

    pub(crate) fn refused(&self, status: &Status) {
        add(&self.by_code, format!("{:?}", status.code()));
    }

    pub(crate) fn wrote(&self, took: Duration) {
        let slowest = self.slowest_write.lock();
        let mut slowest = slowest.unwrap_or_else(PoisonError::into_inner);
        *slowest = took.max(*slowest);
    }

    pub(crate) fn outcome(&self, name: &str, seed: u64, report: Report) -> Outcome {
        Outcome {
            name: name.to_owned(),
            seed,
            report,
            by_tier: copy(&self.by_tier),
            by_code: copy(&self.by_code),
            slowest_write: copy(&self.slowest_write),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Outcome {
    name: String,
    seed: u64,
    pub(crate) report: Report,
    by_tier: BTreeMap<String, usize>,
    by_code: BTreeMap<String, usize>,
    slowest_write: Duration,
}

impl Outcome {
    /// Its figures, which are worth knowing when all is well, too.
    #[expect(clippy::print_stdout, reason = "what a run was worth")]
    pub(crate) fn tell(&self) {
        println!("{self}");
    }

    /// Nobody saw anything stale.
    #[track_caller]
    pub(crate) fn assert_coherent(&self) {
        assert!(self.report.is_clean(), "{self}");
        assert!(self.report.races > 0, "nothing was tested: {self}");
    }

    /// And the fault was no client's affair.
    #[track_caller]
    pub(crate) fn assert_unnoticed(&self) {
        assert!(self.by_code.is_empty(), "{self}");
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, seed {}: slowest write {:?}, answers from {:?}, errors {:?}, {}",
            self.name, self.seed, self.slowest_write, self.by_tier, self.by_code, self.report
        )
    }
}
