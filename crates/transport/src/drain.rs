//! Graceful shutdown: no new work is accepted, running work may finish, and the time for it is limited.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::shutdown::Trigger;

/// Outcome of a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainOutcome {
    /// All calls and background work finished in time.
    Finished,
    /// Some calls or background work took too long and were cut.
    Cut,
    /// A second signal, or a task that died, ended the process without waiting.
    Forced,
}

/// Time for tasks to notice that they were cut.
const AFTER_CUT: Duration = Duration::from_secs(1);

/// Limits of the steps of a shutdown.
#[derive(Debug, Clone, Copy)]
pub struct DrainTimes {
    /// `DRAIN_DELAY`, from the signal to the drain: load balancers see that this instance leaves, and calls are still accepted.
    pub delay: Duration,
    /// `DRAIN_TIMEOUT`: how long calls may run after that.
    pub timeout: Duration,
}

/// Waits for a first signal, runs `leaving`, which reports to load balancers that this instance leaves, and waits for the delay.
/// Then it runs `before`, begins the drain, and waits for `served` until the timeout. A second signal ends the delay, the next
/// one the drain.
pub async fn drain(
    signals: &mut mpsc::Receiver<()>,
    trigger: &Trigger,
    DrainTimes {
        delay,
        timeout: limit,
    }: DrainTimes,
    leaving: impl Future<Output = ()>,
    before: impl Future<Output = ()>,
    served: impl Future<Output = ()>,
) -> DrainOutcome {
    tokio::pin!(served);
    tokio::select! {
        _ = signals.recv() => {}
        // Without a signal this ends only if a task died; then there is nothing left to wait for.
        () = &mut served => {
            tracing::error!("serving ended without a signal");
            return DrainOutcome::Forced;
        }
    }
    trigger.leave();
    leaving.await;
    if !delay.is_zero() {
        tracing::info!(
            delay_s = delay.as_secs(),
            "shutdown requested; calls are still accepted until the drain begins"
        );
        tokio::select! {
            () = sleep(delay) => {}
            () = next_signal(signals) => tracing::info!("second signal: draining at once"),
        }
    }
    tracing::info!(timeout_s = limit.as_secs(), "draining");
    before.await;
    trigger.drain();
    let finished = tokio::select! {
        () = next_signal(signals) => {
            tracing::warn!("second signal: exiting at once");
            trigger.cut();
            return DrainOutcome::Forced;
        }
        finished = timeout(limit, &mut served) => finished.is_ok(),
    };
    trigger.cut();
    if finished {
        tracing::info!("drained");
        return DrainOutcome::Finished;
    }
    tracing::warn!("calls or background work did not end within DRAIN_TIMEOUT; cutting them");
    if timeout(AFTER_CUT, served).await.is_err() {
        tracing::warn!("background work did not end after it was cut");
    }
    DrainOutcome::Cut
}

/// Waits for the next signal; for ever if the channel is closed.
async fn next_signal(signals: &mut mpsc::Receiver<()>) {
    if signals.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// Receiver of one message per SIGTERM or SIGINT.
pub fn signals() -> std::io::Result<mpsc::Receiver<()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = mpsc::channel(2);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::shutdown;

    const TIMEOUT: Duration = Duration::from_secs(20);
    const TIMES: DrainTimes = DrainTimes {
        delay: Duration::ZERO,
        timeout: TIMEOUT,
    };
    const DELAYED: DrainTimes = DrainTimes {
        delay: Duration::from_secs(5),
        timeout: TIMEOUT,
    };

    #[tokio::test(start_paused = true)]
    async fn running_calls_may_finish() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(2);
        sender.send(()).await.unwrap();
        let served = async {
            shutdown.draining().await;
            tokio::time::sleep(Duration::from_secs(19)).await;
        };
        let ending = drain(&mut signals, &trigger, TIMES, ready(()), ready(()), served).await;
        assert_eq!(ending, DrainOutcome::Finished);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_beyond_the_timeout_are_cut() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(2);
        sender.send(()).await.unwrap();
        let begun = tokio::time::Instant::now();
        let ending = drain(
            &mut signals,
            &trigger,
            TIMES,
            ready(()),
            ready(()),
            shutdown.cut(),
        )
        .await;
        assert_eq!((ending, begun.elapsed()), (DrainOutcome::Cut, TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_the_drain_at_once() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(2);
        sender.send(()).await.unwrap();
        sender.send(()).await.unwrap();
        let begun = tokio::time::Instant::now();
        let ending = drain(
            &mut signals,
            &trigger,
            TIMES,
            ready(()),
            ready(()),
            pending(),
        )
        .await;
        assert_eq!(
            (ending, begun.elapsed()),
            (DrainOutcome::Forced, Duration::ZERO)
        );
        shutdown.cut().await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_step_before_the_drain_runs_before_connections_are_notified() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(2);
        sender.send(()).await.unwrap();
        let before = async { assert!(!shutdown.is_draining()) };
        let served = shutdown.draining();
        drain(&mut signals, &trigger, TIMES, ready(()), before, served).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_drain_begins_after_the_delay() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(2);
        sender.send(()).await.unwrap();
        let begun = tokio::time::Instant::now();
        let leaving = async { assert!(shutdown.is_leaving() && !shutdown.is_draining()) };
        let before = async {
            assert!(!shutdown.is_draining());
            assert_eq!(begun.elapsed(), DELAYED.delay);
        };
        let served = shutdown.draining();
        let ending = drain(&mut signals, &trigger, DELAYED, leaving, before, served).await;
        assert_eq!(ending, DrainOutcome::Finished);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_the_delay_and_the_third_the_drain() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(3);
        for _ in 0..2 {
            sender.send(()).await.unwrap();
        }
        let begun = tokio::time::Instant::now();
        let served = async {
            shutdown.draining().await;
            assert_eq!(begun.elapsed(), Duration::ZERO);
            sender.send(()).await.unwrap();
            pending::<()>().await;
        };
        let ending = drain(
            &mut signals,
            &trigger,
            DELAYED,
            ready(()),
            ready(()),
            served,
        )
        .await;
        assert_eq!(
            (ending, begun.elapsed()),
            (DrainOutcome::Forced, Duration::ZERO)
        );
    }
}
