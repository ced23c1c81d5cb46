//! The shutdown signal, which every task of the process can watch.
//!
//! | phase | what happens |
//! |---|---|
//! | serving | everything is accepted |
//! | leaving | load balancers should choose other instances; calls are still accepted |
//! | draining | no new work is accepted; what runs may finish |
//! | cut | calls and background work that still run are aborted |

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Leaving,
    Draining,
    Cut,
}

/// Sending side of the shutdown signal.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Phase>);

/// Receiving side of the shutdown signal. Cheap to clone; a dropped [`Trigger`] counts as a cut.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<Phase>);

/// Creates a connected pair.
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Begins leaving: load balancers should choose other instances; calls that arrive are still served.
    pub fn leave(&self) {
        self.raise(Phase::Leaving);
    }

    /// Begins the drain: no new work is accepted; what runs may finish.
    pub fn drain(&self) {
        self.raise(Phase::Draining);
    }

    /// Cuts what still runs.
    pub fn cut(&self) {
        self.raise(Phase::Cut);
    }

    /// Moves to a later phase, never to an earlier one: a late signal must not revive calls that were cut.
    fn raise(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let raised = *phase < to;
            *phase = to.max(*phase);
            raised
        });
    }
}

impl Shutdown {
    /// Whether load balancers should choose other instances.
    pub fn is_leaving(&self) -> bool {
        *self.0.borrow() >= Phase::Leaving
    }

    /// Returns when load balancers should choose other instances.
    pub async fn leaving(&self) {
        self.reached(Phase::Leaving).await;
    }

    /// Whether no new work may begin.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Returns when the drain begins.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Whether calls that still run are cut.
    pub fn is_cut(&self) -> bool {
        *self.0.borrow() >= Phase::Cut
    }

    /// Returns when what still runs is cut.
    pub async fn cut(&self) {
        self.reached(Phase::Cut).await;
    }

    async fn reached(&self, wanted: Phase) {
        // An error means that the trigger was dropped, which counts as a cut.
        let _ = self.0.clone().wait_for(|phase| *phase >= wanted).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn phases_only_rise() {
        let (trigger, shutdown) = channel();
        assert!(!shutdown.is_leaving() && shutdown.leaving().now_or_never().is_none());
        trigger.leave();
        assert!(shutdown.is_leaving() && shutdown.leaving().now_or_never().is_some());
        assert!(!shutdown.is_draining() && shutdown.draining().now_or_never().is_none());
        trigger.drain();
        assert!(shutdown.is_draining() && shutdown.draining().now_or_never().is_some());
        assert!(shutdown.cut().now_or_never().is_none());
        trigger.cut();
        trigger.drain();
        assert!(shutdown.cut().now_or_never().is_some());
    }

    #[test]
    fn nothing_outlives_its_trigger() {
        let (trigger, shutdown) = channel();
        drop(trigger);
        assert!(shutdown.cut().now_or_never().is_some());
    }
}
