//! Tracks running commits. Each is a task of its own that may outlive its caller, and the process must not exit before
//! it ends.

use std::sync::Arc;

use tokio::sync::watch;

/// Number of running commits. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Commits(Arc<watch::Sender<usize>>);

/// One running commit, until it is dropped.
pub(crate) struct Commit(Commits);

impl Commits {
    pub(crate) fn begin(&self) -> Commit {
        self.0.send_modify(|count| *count += 1);
        Commit(self.clone())
    }

    /// Waits until none is running.
    pub(super) async fn ended(&self) {
        let mut count = self.0.subscribe();
        // The sender lives as long as `self` does.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.0
            .0
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}
