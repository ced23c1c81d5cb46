//! How long a read waits for Redis: its budget, but not for one from which nothing comes any more.
//!
//! A single answer may be late because much is asked; then others come, and it is worth waiting for. A server that stands still
//! answers nobody. The first read that notices says so, all that wait go to the database, and none asks until it has answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::remote::{Fault, Remote};

/// Most answers come before anything has to be prepared for those that do not.
const SOON: Duration = Duration::from_millis(2);

pub(crate) struct Patience {
    /// How long nothing may come.
    silence: Duration,
    /// Answers so far, whoever asked.
    answers: AtomicU64,
    /// Whether nothing came for so long, and nothing since.
    doubted: AtomicBool,
    /// Told when it begins.
    doubt: Notify,
}

impl Patience {
    pub(crate) fn new(silence: Duration) -> Arc<Self> {
        Arc::new(Self {
            silence,
            answers: AtomicU64::new(0),
            doubted: AtomicBool::new(false),
            doubt: Notify::new(),
        })
    }

    /// Waits until then for what is asked of Redis.
    pub(crate) async fn wait<T>(
        self: &Arc<Self>,
        remote: &Arc<dyn Remote>,
        until: Instant,
        asking: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, Fault> {
        if self.is_doubted() {
            return Err(Fault::Slow);
        }
        let mut seen = self.answers.load(Ordering::Relaxed);
        let mut look = Instant::now() + self.silence;
        let mut asking = std::pin::pin!(asking);
        let soon = (Instant::now() + SOON).min(until);
        if let Ok(answer) = timeout_at(soon, &mut asking).await {
            return self.note(answer);
        }
        let mut doubt = std::pin::pin!(self.doubt.notified());
        // From here on it is told; what was said before is seen.
        doubt.as_mut().enable();
        if self.is_doubted() {
            return Err(Fault::Slow);
        }
        loop {
            tokio::select! {
                biased;
                answer = &mut asking => return self.note(answer),
                () = &mut doubt => return Err(Fault::Slow),
                () = sleep_until(look.min(until)) => {}
            }
            if Instant::now() >= until {
                return Err(Fault::Slow);
            }
            let known = std::mem::replace(&mut seen, self.answers.load(Ordering::Relaxed));
            if known == seen {
                self.doubt(remote);
                return Err(Fault::Slow);
            }
            look += self.silence;
        }
    }

    fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed)
    }

    fn note<T>(&self, answer: Result<T, Fault>) -> Result<T, Fault> {
        if let Ok(_) | Err(Fault::Refused(_)) = &answer {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    fn doubt(self: &Arc<Self>, remote: &Arc<dyn Remote>) {
        let first = !self.doubted.swap(true, Ordering::AcqRel);
        if first {
            self.doubt.notify_waiters();
            tracing::debug!("nothing comes from redis: reads go to the database until it answers");
            let (patience, remote) = (Arc::clone(self), Arc::clone(remote));
            tokio::spawn(async move {
                // Whatever else it says, it says it at once, and so will it to everybody.
                while remote.identity().await == Err(Fault::Slow) {
                    sleep(patience.silence).await;
                }
                patience.doubted.store(false, Ordering::Release);
            });
        }
    }
}
