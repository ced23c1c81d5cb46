//! One word to everything that runs: go on, finish, or end now.

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Serving,
    Leaving,
    Draining,
    Cut,
}

/// Who may say it.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Phase>);

/// Who wants to hear it. Cheap to clone; a dropped [`Trigger`] counts as "end now".
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<Phase>);

/// A new pair.
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Serving);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Load balancers should choose other instances; calls that come nevertheless are served.
    pub fn leave(&self) {
        self.raise(Phase::Leaving);
    }

    /// No new work; what runs may finish.
    pub fn drain(&self) {
        self.raise(Phase::Draining);
    }

    /// What still runs ends now.
    pub fn cut(&self) {
        self.raise(Phase::Cut);
    }

    /// Never back: a second signal must not revive what was cut.
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

    /// Whether no new work should be begun.
    pub fn is_draining(&self) -> bool {
        *self.0.borrow() >= Phase::Draining
    }

    /// Comes when what runs should come to its end.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Whether calls that still run are cut.
    pub fn is_cut(&self) -> bool {
        *self.0.borrow() >= Phase::Cut
    }

    /// Comes when what runs ends now.
    pub async fn cut(&self) {
        self.reached(Phase::Cut).await;
    }

    async fn reached(&self, wanted: Phase) {
        // An error means that nobody is left to say anything, and nothing should outlive that.
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
