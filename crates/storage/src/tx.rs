//! The one way in for writes.

use std::sync::Arc;
use std::time::Duration;

use parlance_domain::search::Language;
use parlance_domain::{Owner, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::commits::Commits;
use crate::conn::{Database, Lease};
use crate::db::cache::add_pending;
use crate::error::{StorageError, StorageResult};
use crate::touched::{Touch, Touched};

/// Who must hear of every commit. A transaction cannot be committed without one. Each call is made even if the caller has left.
pub trait Sink: Send + Sync + 'static {
    /// What a fence leaves to be released.
    type Fence: Send + 'static;

    /// Called before the commit: from now on nothing that was touched may be filled, until the fence is handed back.
    fn fence(&self, touched: &Touched) -> impl Future<Output = Self::Fence> + Send;

    /// Whether a fence that was made ahead is as good as one made now.
    fn is_valid(&self, fence: &Self::Fence) -> bool;

    /// What could not be fenced: it is written down in the same transaction.
    fn pending(fence: &Self::Fence) -> Option<PendingKeys>;

    /// Called after the commit and before the write is acknowledged.
    fn committed(&self, touched: &Touched, fence: Self::Fence) -> impl Future<Output = ()> + Send;

    /// The commit failed: `certain` if nothing was written, else it may still come true.
    fn failed(&self, fence: Self::Fence, certain: bool) -> impl Future<Output = ()> + Send;
}

/// Keys of the cache that a write could not fence or release, for whoever serves from it to release them first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingKeys {
    /// The keys.
    pub keys: Vec<String>,
    /// Whose write it is.
    pub token: String,
}

/// The outcome of an update that carries the version it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Guarded {
    /// It was made.
    Updated,
    /// The row has moved on, or is gone: nothing was made.
    Stale,
}

impl From<bool> for Guarded {
    fn from(updated: bool) -> Self {
        if updated { Self::Updated } else { Self::Stale }
    }
}

/// A transaction of one owner. Its connection is private: whatever is written through it is noted, and dropped without a
/// commit it is rolled back.
pub struct Tx {
    pub(crate) lease: Lease,
    pub(crate) owner: Owner,
    pub(crate) now: Timestamp,
    pub(crate) language: Language,
    touched: Touched,
    commits: Commits,
}

impl Database {
    /// Begins a transaction.
    pub async fn begin(&self, owner: &Owner, now: Timestamp) -> StorageResult<Tx> {
        let lease = self.writer().await?;
        Ok(Tx {
            lease,
            owner: owner.clone(),
            now,
            language: self.search_language,
            touched: Touched::nothing(owner.clone()),
            commits: self.commits.clone(),
        })
    }
}

impl Tx {
    /// Makes the writes true: fences, commits and releases. From here on it is finished even if the caller leaves: all of it
    /// runs in a task of its own.
    pub async fn commit<S: Sink>(self, sink: &Arc<S>) -> StorageResult<()> {
        self.finish(sink, None).await
    }

    /// Has what was touched so far fenced while the last statements run, so that a write does not wait for one after the other.
    pub fn fence_early<S: Sink>(&self, sink: &Arc<S>) -> EarlyFence<S> {
        let (touched, fencing) = (self.touched.clone(), Arc::clone(sink));
        EarlyFence {
            sink: Arc::clone(sink),
            touched: touched.clone(),
            begun: Instant::now(),
            fence: Some(tokio::spawn(async move { fencing.fence(&touched).await })),
        }
    }

    /// The same as [`commit`](Self::commit), under a fence that was begun before.
    pub async fn commit_fenced<S: Sink>(self, ahead: EarlyFence<S>) -> StorageResult<()> {
        let sink = Arc::clone(&ahead.sink);
        self.finish(&sink, Some(ahead)).await
    }

    async fn finish<S: Sink>(
        self,
        sink: &Arc<S>,
        ahead: Option<EarlyFence<S>>,
    ) -> StorageResult<()> {
        let Self {
            lease,
            touched,
            commits,
            ..
        } = self;
        let (counted, sink) = (commits.begin(), Arc::clone(sink));
        let task = async move {
            let result = finish(lease, touched, sink, ahead).await;
            drop(counted);
            result
        };
        tokio::spawn(task)
            .await
            .map_err(|error| StorageError::Unavailable(error.to_string()))?
    }

    /// Forgets the writes.
    pub async fn rollback(self) -> StorageResult<()> {
        self.lease.rollback().await
    }

    /// When it began: the time of everything that it writes.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// What it has changed so far.
    pub const fn touched(&self) -> &Touched {
        &self.touched
    }

    /// There is a job that can be claimed from then on.
    pub(crate) fn note_job(&mut self, due: Timestamp) {
        self.touched.note_job(due.since(self.now));
    }

    /// Has this fenced before the commit and released after it. Every write says so of what it changes. A caller says so of a
    /// write to come, to have it [fenced ahead](Self::fence_early), and of one that was committed before, perhaps without being
    /// released.
    pub fn touch(&mut self, touch: Touch) {
        self.touched.add(touch);
    }
}

/// A fence that was begun while statements still ran. Dropped without a commit it is handed back.
#[must_use = "it stands until the transaction is committed with it"]
pub struct EarlyFence<S: Sink> {
    sink: Arc<S>,
    touched: Touched,
    begun: Instant,
    fence: Option<JoinHandle<S::Fence>>,
}

/// An older fence is not relied on: each statement after it may have taken seconds, and it has to outlive the commit.
const FRESH: Duration = Duration::from_secs(1);

impl<S: Sink> EarlyFence<S> {
    /// The fence, if it is one of all that was touched and counts as made now; else it is handed back.
    async fn take(mut self, touched: &Touched) -> Option<S::Fence> {
        if self.touched.touches() != touched.touches() || self.begun.elapsed() > FRESH {
            return None;
        }
        let fence = self.fence.take()?.await.ok()?;
        if self.sink.is_valid(&fence) {
            return Some(fence);
        }
        self.sink.failed(fence, true).await;
        None
    }
}

impl<S: Sink> Drop for EarlyFence<S> {
    fn drop(&mut self) {
        if let Some(fence) = self.fence.take() {
            let sink = Arc::clone(&self.sink);
            // No COMMIT was sent under it.
            tokio::spawn(async move {
                if let Ok(fence) = fence.await {
                    sink.failed(fence, true).await;
                }
            });
        }
    }
}

async fn finish<S: Sink>(
    mut lease: Lease,
    touched: Touched,
    sink: Arc<S>,
    ahead: Option<EarlyFence<S>>,
) -> StorageResult<()> {
    if lease.has_failed() {
        // It can only be rolled back: there is nothing to fence.
        return lease.commit().await;
    }
    let ahead = match ahead {
        Some(ahead) => ahead.take(&touched).await,
        None => None,
    };
    let fence = match ahead {
        Some(fence) => fence,
        None => sink.fence(&touched).await,
    };
    if let Some(pending) = S::pending(&fence)
        && let Err(error) = add_pending(&mut lease, &pending).await
    {
        drop(lease);
        // No COMMIT was sent.
        sink.failed(fence, true).await;
        return Err(error);
    }
    match lease.commit().await {
        Ok(()) => {
            sink.committed(&touched, fence).await;
            Ok(())
        }
        Err(error) => {
            sink.failed(fence, error.is_refusal()).await;
            Err(error)
        }
    }
}
