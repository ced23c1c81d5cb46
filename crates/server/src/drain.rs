//! The end in good order: nothing new, what runs finishes, and it does not take for ever.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::shutdown::Trigger;

/// How it came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainOutcome {
    /// Everything that ran is finished.
    Finished,
    /// Some calls took too long and were cut.
    Cut,
    /// A second signal: at once.
    Forced,
}

/// After a cut, tasks need a moment to see it; more than that they do not get.
const AFTER_CUT: Duration = Duration::from_secs(1);

/// How long the steps of a shutdown take.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// From the signal to the drain: load balancers learn that this instance leaves, and calls are still accepted.
    pub delay: Duration,
    /// How long calls may go on after that.
    pub longest: Duration,
}

/// Waits for a first signal, reports by `leaving` that load balancers should choose other instances, and gives them the delay.
/// Then `before` runs, the drain begins, and `served` has the longest time to end. A second signal ends the delay, the next one
/// the drain.
pub async fn drain(
    signals: &mut mpsc::Receiver<()>,
    trigger: &Trigger,
    Times { delay, longest }: Times,
    leaving: impl Future<Output = ()>,
    before: impl Future<Output = ()>,
    served: impl Future<Output = ()>,
) -> DrainOutcome {
    tokio::pin!(served);
    tokio::select! {
        _ = signals.recv() => {}
        // Nothing ends by itself unless a task died; then there is nothing to wait for.
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
            "leaving; calls are still accepted"
        );
        tokio::select! {
            () = sleep(delay) => {}
            () = second(signals) => tracing::info!("a second signal: draining at once"),
        }
    }
    tracing::info!(longest_s = longest.as_secs(), "draining");
    before.await;
    trigger.drain();
    let finished = tokio::select! {
        () = second(signals) => {
            tracing::warn!("a second signal: ending at once");
            trigger.cut();
            return DrainOutcome::Forced;
        }
        finished = timeout(longest, &mut served) => finished.is_ok(),
    };
    trigger.cut();
    if finished {
        tracing::info!("drained");
        return DrainOutcome::Finished;
    }
    tracing::warn!("calls or background work did not end within DRAIN_TIMEOUT and are cut");
    if timeout(AFTER_CUT, served).await.is_err() {
        tracing::warn!("background work did not end after it was cut");
    }
    DrainOutcome::Cut
}

/// A closed channel is no signal.
async fn second(signals: &mut mpsc::Receiver<()>) {
    if signals.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}

/// One message per SIGTERM or SIGINT.
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

    const LONGEST: Duration = Duration::from_secs(20);
    const TIMES: Times = Times {
        delay: Duration::ZERO,
        longest: LONGEST,
    };
    const DELAYED: Times = Times {
        delay: Duration::from_secs(5),
        longest: LONGEST,
    };

    #[tokio::test(start_paused = true)]
    async fn what_runs_may_finish() {
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
    async fn what_does_not_finish_is_cut() {
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
        assert_eq!((ending, begun.elapsed()), (DrainOutcome::Cut, LONGEST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_it_at_once() {
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
    async fn what_was_told_before_is_told_before_connections_hear_of_it() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(2);
        sender.send(()).await.unwrap();
        let told = async { assert!(!shutdown.is_draining()) };
        let served = shutdown.draining();
        drain(&mut signals, &trigger, TIMES, ready(()), told, served).await;
    }

    #[tokio::test(start_paused = true)]
    async fn balancers_have_the_delay_before_the_drain_begins() {
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
