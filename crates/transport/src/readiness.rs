//! Readiness: whether clients should send calls to this instance. Served by `/readyz` and published through `grpc.health.v1`.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::shutdown::Shutdown;

/// Why the instance is not ready, in one line.
pub type Reason = &'static str;

type Probe = Box<dyn Fn() -> BoxFuture<'static, Result<(), Reason>> + Send + Sync>;

const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Maximum age of a result: within it any number of checks share one probe of the database.
const FRESH: Duration = Duration::from_millis(500);
const INTERVAL: Duration = Duration::from_secs(1);
/// Consecutive failures until the published health changes: one slow probe does not send clients away.
const FAILURES_UNTIL_NOT_SERVING: u32 = 3;

/// Readiness check with a short-lived result.
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
    /// Creates a check that runs this probe and fails once the shutdown begins.
    pub fn new(probe: Probe, shutdown: Shutdown) -> Self {
        Self {
            probe,
            shutdown,
            last: Mutex::new(None),
        }
    }

    /// Checks whether clients should send calls now.
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

    /// Keeps the published health of these services up to date until the signal to stop.
    ///
    /// The health under the empty name is liveness and does not follow readiness: restarting this process would not repair
    /// the database.
    pub async fn report(&self, health: &HealthReporter, services: &[&'static str]) {
        let mut failures = 0;
        let mut published = None;
        while !self.shutdown.is_leaving() {
            match self.check().await {
                Ok(()) => failures = 0,
                Err(reason) => {
                    failures += 1;
                    tracing::warn!(reason, "not ready");
                }
            }
            let serving = failures < FAILURES_UNTIL_NOT_SERVING;
            if published != Some(serving) && !self.shutdown.is_leaving() {
                published = Some(serving);
                publish(health, services, serving).await;
            }
            tokio::select! {
                () = self.shutdown.leaving() => {}
                () = sleep(INTERVAL) => {}
            }
        }
    }
}

/// Publishes the health of these services to the watchers of `grpc.health.v1`.
pub async fn publish(health: &HealthReporter, services: &[&'static str], serving: bool) {
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
    async fn many_checks_share_one_probe() {
        let (_trigger, shutdown) = shutdown::channel();
        let probes = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&probes);
        let probe = move || {
            count.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Ok(())).boxed()
        };
        let readiness = Readiness::new(Box::new(probe), shutdown);
        for _ in 0..100 {
            assert_eq!(readiness.check().await, Ok(()));
        }
        assert_eq!(probes.load(Ordering::Relaxed), 1);
        tokio::time::advance(FRESH).await;
        readiness.check().await.unwrap();
        assert_eq!(probes.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_database_and_a_shutdown_are_not_ready() {
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
