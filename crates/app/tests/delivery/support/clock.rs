//! Test clock: it stands still until it is advanced, or runs in real time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parlance_app::Clock;
use parlance_domain::Timestamp;

/// Start time.
const START: i64 = 1_700_000_000_000_000;

#[derive(Clone)]
pub(crate) struct TestClock {
    moved: Arc<AtomicI64>,
    runs_since: Option<Instant>,
    read: Arc<AtomicUsize>,
}

impl TestClock {
    pub(crate) fn standing() -> Self {
        Self {
            moved: Arc::new(AtomicI64::new(0)),
            runs_since: None,
            read: Arc::default(),
        }
    }

    pub(crate) fn running() -> Self {
        Self {
            runs_since: Some(Instant::now()),
            ..Self::standing()
        }
    }

    /// The same time, with a read counter of its own.
    pub(crate) fn another(&self) -> Self {
        Self {
            read: Arc::default(),
            ..self.clone()
        }
    }

    /// Returns how often the time was read from this clock.
    pub(crate) fn read(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }

    pub(crate) fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap();
        self.moved.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.read.fetch_add(1, Ordering::SeqCst);
        let run = self
            .runs_since
            .map_or(Duration::ZERO, |since| since.elapsed());
        Timestamp::from_micros(START + self.moved.load(Ordering::SeqCst)).plus(run)
    }
}
