//! Not asking what has not answered for a while.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::remote::Fault;

/// How many failures in a row open it.
const LIMIT: u32 = 5;

/// Whether Redis is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It has not answered for a while: calls fail at once until a probe is answered.
    Open,
}

#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    open: AtomicBool,
    opened: Notify,
    /// What it opened at.
    why: Mutex<Option<Fault>>,
}

impl Breaker {
    pub(super) fn state(&self) -> BreakerState {
        if self.open.load(Ordering::Acquire) {
            BreakerState::Open
        } else {
            BreakerState::Closed
        }
    }

    /// It answered, be it with an error.
    pub(super) fn answered(&self) {
        // Read first: all lookups share this line of memory.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self, fault: &Fault) {
        let before = self.failures.fetch_add(1, Ordering::Relaxed);
        if before + 1 >= LIMIT && !self.open.swap(true, Ordering::AcqRel) {
            *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault.clone());
            self.opened.notify_one();
        }
    }

    /// Ends when it opens; at what.
    pub(super) async fn opened(&self) -> Fault {
        self.opened.notified().await;
        let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        why.take().unwrap_or(Fault::Slow)
    }

    /// A probe was answered.
    pub(super) fn close(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.open.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_a_probe_closes_it() {
        let breaker = Breaker::default();
        for _ in 1..LIMIT {
            breaker.failed(&Fault::Slow);
        }
        breaker.answered();
        for _ in 1..LIMIT {
            breaker.failed(&Fault::Slow);
            assert_eq!(breaker.state(), BreakerState::Closed);
        }
        breaker.failed(&Fault::Slow);
        assert_eq!(breaker.state(), BreakerState::Open);
        // An answer that was under way when it opened proves nothing.
        breaker.answered();
        assert_eq!(breaker.state(), BreakerState::Open);
        breaker.close();
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.failed(&Fault::Slow);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }
}
