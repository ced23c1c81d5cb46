//! A clock that stands still until it is moved, or runs with the machine's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parlance_app::Clock;
use parlance_domain::Timestamp;

/// Where it begins.
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

    /// The same clock, on another wall.
    pub(crate) fn another(&self) -> Self {
        Self {
            read: Arc::default(),
            ..self.clone()
        }
    }

    /// How often it was looked at here.
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
