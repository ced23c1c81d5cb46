//! Stall detector: limits how long reads wait for a Redis that answers no request at all.
//!
//! A single answer may be late under load; then other answers arrive, and waiting is worthwhile within the budget of the read. A
//! server that hangs answers no request. The first read that notices marks Redis as stalled: all waiting reads go to the
//! database, and further reads skip Redis until it answers a probe.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::remote::{Fault, Remote};

/// Most answers arrive within this time, before the listener for stalls has to be set up.
const FAST_ANSWER: Duration = Duration::from_millis(2);

/// Detects that Redis answers no request.
pub(crate) struct StallDetector {
    /// Longest time without any answer.
    timeout: Duration,
    /// Number of answers so far, to all callers.
    answers: AtomicU64,
    /// Whether Redis is stalled.
    stalled: AtomicBool,
    /// Notified when a stall begins.
    stall: Notify,
}

impl StallDetector {
    pub(crate) fn new(timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            timeout,
            answers: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
            stall: Notify::new(),
        })
    }

    /// Waits for a call to Redis until the deadline, or until Redis is stalled.
    pub(crate) async fn wait<T>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
        until: Instant,
        asking: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, Fault> {
        if self.is_stalled() {
            return Err(Fault::Slow);
        }
        let mut seen = self.answers.load(Ordering::Relaxed);
        let mut check_at = Instant::now() + self.timeout;
        let mut asking = std::pin::pin!(asking);
        let fast = (Instant::now() + FAST_ANSWER).min(until);
        if let Ok(answer) = timeout_at(fast, &mut asking).await {
            return self.record(answer);
        }
        let mut stall = std::pin::pin!(self.stall.notified());
        // Enabled before the check: a stall that begins later notifies, an earlier one is seen here.
        stall.as_mut().enable();
        if self.is_stalled() {
            return Err(Fault::Slow);
        }
        loop {
            tokio::select! {
                biased;
                answer = &mut asking => return self.record(answer),
                () = &mut stall => return Err(Fault::Slow),
                () = sleep_until(check_at.min(until)) => {}
            }
            if Instant::now() >= until {
                return Err(Fault::Slow);
            }
            let known = std::mem::replace(&mut seen, self.answers.load(Ordering::Relaxed));
            if known == seen {
                self.mark_stalled(remote);
                return Err(Fault::Slow);
            }
            check_at += self.timeout;
        }
    }

    fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    fn record<T>(&self, answer: Result<T, Fault>) -> Result<T, Fault> {
        if let Ok(_) | Err(Fault::Refused(_)) = &answer {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    fn mark_stalled(self: &Arc<Self>, remote: &Arc<dyn Remote>) {
        let first = !self.stalled.swap(true, Ordering::AcqRel);
        if first {
            self.stall.notify_waiters();
            tracing::debug!("redis is stalled: reads go to the database until it answers");
            let (detector, remote) = (Arc::clone(self), Arc::clone(remote));
            tokio::spawn(async move {
                // Any other result, even an error, arrives at once, and so will the answers to reads.
                while remote.identity().await == Err(Fault::Slow) {
                    sleep(detector.timeout).await;
                }
                detector.stalled.store(false, Ordering::Release);
            });
        }
    }
}
