//! Whether calls should come here: asked by `/readyz`, told to `grpc.health.v1`.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::shutdown::Shutdown;

/// Why not, in one line.
pub type Reason = &'static str;

type Probe = Box<dyn Fn() -> BoxFuture<'static, Result<(), Reason>> + Send + Sync>;

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Answers are this old at most: however many ask, the database is asked once in this time.
const FRESH: Duration = Duration::from_millis(500);
const INTERVAL: Duration = Duration::from_secs(1);
/// A single slow answer sends nobody away.
const FAILURES_UNTIL_NOT_SERVING: u32 = 3;

/// Asks, and remembers for a moment.
pub struct Readiness {
    probe: Probe,
    shutdown: Shutdown,
    last: Mutex<Option<(Instant, Result<(), Reason>)>>,
}

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readiness").finish_non_exhaustive()
    }
}

impl Readiness {
    /// By this probe, and not in a drain.
    pub fn new(probe: Probe, shutdown: Shutdown) -> Self {
        Self {
            probe,
            shutdown,
            last: Mutex::new(None),
        }
    }

    /// Whether calls should come here now.
    pub async fn check(&self) -> Result<(), Reason> {
        if self.shutdown.is_draining() {
            return Err("draining");
        }
        if self.shutdown.is_leaving() {
            return Err("leaving");
        }
        let mut last = self.last.lock().await;
        if let Some((at, answer)) = *last
            && at.elapsed() < FRESH
        {
            return answer;
        }
        let answer = timeout(PROBE_TIMEOUT, (self.probe)())
            .await
            .unwrap_or(Err("the database does not answer within a second"));
        *last = Some((Instant::now(), answer));
        answer
    }

    /// Keeps the health of these services by name up to date, until the signal to stop.
    ///
    /// The health of the whole, under the empty name, is liveness and does not follow: restarting this process would not bring
    /// a database back.
    pub async fn report(&self, health: &HealthReporter, services: &[&'static str]) {
        let mut failures = 0;
        let mut told = None;
        while !self.shutdown.is_leaving() {
            match self.check().await {
                Ok(()) => failures = 0,
                Err(reason) => {
                    failures += 1;
                    tracing::warn!(reason, "not ready");
                }
            }
            let serving = failures < FAILURES_UNTIL_NOT_SERVING;
            if told != Some(serving) && !self.shutdown.is_leaving() {
                told = Some(serving);
                tell(health, services, serving).await;
            }
            tokio::select! {
                () = self.shutdown.leaving() => {}
                () = sleep(INTERVAL) => {}
            }
        }
    }
}

/// Tells those who watch.
pub(crate) async fn tell(health: &HealthReporter, services: &[&'static str], serving: bool) {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in services {
        health.set_service_status(*service, status).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::FutureExt as _;

    use super::*;
    use crate::shutdown;

    #[tokio::test(start_paused = true)]
    async fn many_askers_are_one_question() {
        let (_trigger, shutdown) = shutdown::channel();
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        let probe = move || {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(())).boxed()
        };
        let readiness = Readiness::new(Box::new(probe), shutdown);
        for _ in 0..100 {
            assert_eq!(readiness.check().await, Ok(()));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(FRESH).await;
        readiness.check().await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_and_draining_are_not_ready() {
        let (trigger, shutdown) = shutdown::channel();
        let readiness = Readiness::new(Box::new(|| std::future::pending().boxed()), shutdown);
        let silent = "the database does not answer within a second";
        assert_eq!(readiness.check().await, Err(silent));
        trigger.leave();
        assert_eq!(readiness.check().await, Err("leaving"));
        trigger.drain();
        assert_eq!(readiness.check().await, Err("draining"));
    }
}
