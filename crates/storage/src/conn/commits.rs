//! Tracks running commits. Each is a task of its own that may outlive its caller, and the process must not exit before
//! it ends.

use std::sync::Arc;

use tokio::sync::watch;

use crate::conn::Database;

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
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.0
            .0
            .send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Database {
    /// Waits until no commit is running, including commits that outlived their callers.
    pub async fn commits_ended(&self) {
        let mut count = self.commits.0.subscribe();
        // The sender lives as long as this database does.
        let _ = count.wait_for(|count| *count == 0).await;
    }
}
