//! Circuit breaker: after a few failures in a row no request is sent until a probe succeeds.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::remote::{BreakerState, Fault};

/// Failures in a row that open the breaker.
const FAILURE_LIMIT: u32 = 5;

#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    open: AtomicBool,
    opened: Notify,
    /// Failure that opened the breaker.
    cause: Mutex<Option<Fault>>,
}

impl Breaker {
    pub(super) fn state(&self) -> BreakerState {
        if self.open.load(Ordering::Acquire) {
            BreakerState::Open
        } else {
            BreakerState::Closed
        }
    }

    /// Records an answer, even an error.
    pub(super) fn answered(&self) {
        // Read before writing: all lookups share this cache line of the processor.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Records that no answer came.
    pub(super) fn failed(&self, fault: &Fault) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if before + 1 >= FAILURE_LIMIT && !self.open.swap(true, Ordering::AcqRel) {
            *self.cause.lock() = Some(fault.clone());
            self.opened.notify_one();
        }
    }

    /// Waits until the breaker opens, and returns the failure that opened it.
    pub(super) async fn opened(&self) -> Fault {
        self.opened.notified().await;
        let mut cause = self.cause.lock();
        cause.take().unwrap_or(Fault::Slow)
    }

    /// Closes the breaker after a successful probe.
    pub(super) fn close(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.open.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_open_the_breaker_and_a_probe_closes_it() {
        let breaker = Breaker::default();
        for _ in 1..FAILURE_LIMIT {
            breaker.failed(&Fault::Slow);
        }
        breaker.answered();
        for _ in 1..FAILURE_LIMIT {
            breaker.failed(&Fault::Slow);
            assert_eq!(breaker.state(), BreakerState::Closed);
        }
        breaker.failed(&Fault::Slow);
        assert_eq!(breaker.state(), BreakerState::Open);
        // An answer that was in flight when the breaker opened proves nothing.
        breaker.answered();
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.close();
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.failed(&Fault::Slow);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
