//! The end in good order: nothing new, what runs finishes, and it does not take for ever.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::shutdown::Trigger;

/// How it came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Everything that ran is finished.
    Finished,
    /// Some calls took too long and were cut.
    Cut,
    /// A second signal: at once.
    Forced,
}

/// After a cut, tasks need a moment to see it; more than that they do not get.
const AFTER_CUT: Duration = Duration::from_secs(1);

/// Waits for a first signal, then for `served` to end, for at most `longest`. `before` runs in between, when nobody new should
/// come but connections are still accepted.
pub async fn drain(
    signals: &mut mpsc::Receiver<()>,
    trigger: &Trigger,
    longest: Duration,
    before: impl Future<Output = ()>,
    served: impl Future<Output = ()>,
) -> Ending {
    tokio::pin!(served);
    tokio::select! {
        _ = signals.recv() => {}
        // Nothing ends by itself unless a task died; then there is nothing to wait for.
        () = &mut served => {
            tracing::error!("serving ended without a signal");
            return Ending::Forced;
        }
    }
    tracing::info!(longest_s = longest.as_secs(), "draining");
    before.await;
    trigger.drain();
    let finished = tokio::select! {
        () = second(signals) => {
            tracing::warn!("a second signal: ending at once");
            trigger.cut();
            return Ending::Forced;
        }
        finished = timeout(longest, &mut served) => finished.is_ok(),
    };
    trigger.cut();
    if finished {
        tracing::info!("drained");
        return Ending::Finished;
    }
    tracing::warn!("some calls were still open and are cut");
    if timeout(AFTER_CUT, served).await.is_err() {
        tracing::error!("connections did not close after they were cut");
    }
    Ending::Cut
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

    #[tokio::test(start_paused = true)]
    async fn what_runs_may_finish() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(2);
        sender.send(()).await.unwrap();
        let served = async {
            shutdown.draining().await;
            tokio::time::sleep(Duration::from_secs(19)).await;
        };
        let ending = drain(&mut signals, &trigger, LONGEST, ready(()), served).await;
        assert_eq!(ending, Ending::Finished);
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_finish_is_cut() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(2);
        sender.send(()).await.unwrap();
        let begun = tokio::time::Instant::now();
        let ending = drain(&mut signals, &trigger, LONGEST, ready(()), shutdown.cut()).await;
        assert_eq!((ending, begun.elapsed()), (Ending::Cut, LONGEST));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_it_at_once() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(2);
        sender.send(()).await.unwrap();
        sender.send(()).await.unwrap();
        let begun = tokio::time::Instant::now();
        let ending = drain(&mut signals, &trigger, LONGEST, ready(()), pending()).await;
        assert_eq!((ending, begun.elapsed()), (Ending::Forced, Duration::ZERO));
        shutdown.cut().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_told_before_is_told_before_connections_hear_of_it() {
        let (trigger, shutdown) = shutdown::channel();
        let (sender, mut signals) = mpsc::channel(2);
        sender.send(()).await.unwrap();
        let told = async { assert!(!shutdown.is_draining()) };
        drain(&mut signals, &trigger, LONGEST, told, shutdown.draining()).await;
    }
}
