//! Transactions: the only way to write.
//!
//! A [`Tx`] collects its set of changes: each write adds a [`Touch`], and [`Touched`] is all of them. A [`Sink`] is the
//! commit hook: it receives the change set before the commit (to fence the cache) and after it (to release the fences
//! and to notify).

use std::sync::Arc;
use std::time::Duration;

use parlance_domain::search::Language;
use parlance_domain::{Owner, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::conn::commits::Commits;
use crate::conn::{Database, PooledConnection};
use crate::error::{StorageError, StorageResult};
use crate::model::cache::PendingKeys;
use crate::model::touched::{Touch, Touched};
use crate::rows::cache::NewPendingRow;

/// Commit hook. A transaction cannot be committed without one. Every call is made even if the caller has gone.
pub trait Sink: Send + Sync + 'static {
    /// A fence that has to be released.
    type Fence: Send + 'static;

    /// Called before the commit: from now on no changed value may be filled into the cache, until the fence is passed
    /// back by [`committed`](Self::committed) or [`failed`](Self::failed).
    fn fence(&self, touched: &Touched) -> impl Future<Output = Self::Fence> + Send;

    /// Whether an early fence still protects as well as one that is set now.
    fn is_valid(&self, fence: &Self::Fence) -> bool;

    /// Returns the keys that could not be fenced; they are recorded in the same transaction.
    fn pending(fence: &Self::Fence) -> Option<PendingKeys>;

    /// Called after the commit and before the write is acknowledged.
    fn committed(&self, touched: &Touched, fence: Self::Fence) -> impl Future<Output = ()> + Send;

    /// Called after a failed commit. `certain` if nothing was written; otherwise the commit may still take effect.
    fn failed(&self, fence: Self::Fence, certain: bool) -> impl Future<Output = ()> + Send;
}

/// Transaction of one owner. Its connection is private, so that every write is added to the change set. Dropped without
/// a commit, it is rolled back.
pub struct Tx {
    pub(crate) connection: PooledConnection,
    pub(crate) owner: Owner,
    pub(crate) now: Timestamp,
    pub(crate) language: Language,
    touched: Touched,
    commits: Commits,
}

impl Database {
    /// Begins a transaction.
    pub async fn begin(&self, owner: &Owner, now: Timestamp) -> StorageResult<Tx> {
        let connection = self.writer().await?;
        Ok(Tx {
            connection,
            owner: owner.clone(),
            now,
            language: self.search_language,
            touched: Touched::nothing(owner.clone()),
            commits: self.commits.clone(),
        })
    }
}

impl Tx {
    /// Fences, commits and releases. From here on it is finished even if the caller goes: all of it runs in a task of
    /// its own.
    pub async fn commit<S: Sink>(self, sink: &Arc<S>) -> StorageResult<()> {
        self.finish(sink, None).await
    }

    /// Starts fencing what was changed so far while the last statements run, so that the two do not add up.
    pub fn fence_early<S: Sink>(&self, sink: &Arc<S>) -> EarlyFence<S> {
        let (touched, fencing) = (self.touched.clone(), Arc::clone(sink));
        EarlyFence {
            sink: Arc::clone(sink),
            touched: touched.clone(),
            begun: Instant::now(),
            fence: Some(tokio::spawn(async move { fencing.fence(&touched).await })),
        }
    }

    /// Commits like [`commit`](Self::commit), under a fence that was set early.
    pub async fn commit_fenced<S: Sink>(self, early: EarlyFence<S>) -> StorageResult<()> {
        let sink = Arc::clone(&early.sink);
        self.finish(&sink, Some(early)).await
    }

    async fn finish<S: Sink>(
        self,
        sink: &Arc<S>,
        early: Option<EarlyFence<S>>,
    ) -> StorageResult<()> {
        let Self {
            connection,
            touched,
            commits,
            ..
        } = self;
        let (running, sink) = (commits.begin(), Arc::clone(sink));
        let task = async move {
            let result = finish(connection, touched, sink, early).await;
            drop(running);
            result
        };
        tokio::spawn(task)
            .await
            .map_err(|error| StorageError::Unavailable(error.to_string()))?
    }

    /// Rolls the transaction back.
    pub async fn rollback(self) -> StorageResult<()> {
        self.connection.rollback().await
    }

    /// Start of the transaction: the time of everything that it writes.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// The change set so far.
    pub const fn touched(&self) -> &Touched {
        &self.touched
    }

    /// Records that a delivery can be claimed from `due` on.
    pub(crate) fn note_delivery(&mut self, due: Timestamp) {
        self.touched.note_delivery(due.since(self.now));
    }

    /// Adds a change: it is fenced before the commit and released after it. Every write adds its own changes. A caller
    /// adds the change of a write to come, to have it [fenced early](Self::fence_early), and of one that was committed
    /// before, perhaps without being released.
    pub fn touch(&mut self, touch: Touch) {
        self.touched.add(touch);
    }
}

/// Fence that was set while statements still ran. Dropped without a commit, it is passed back.
#[must_use = "the fence stands until the transaction is committed with it"]
pub struct EarlyFence<S: Sink> {
    sink: Arc<S>,
    touched: Touched,
    begun: Instant,
    fence: Option<JoinHandle<S::Fence>>,
}

/// Maximum age of an early fence at the commit: each statement after it may have taken seconds, and the fence has to
/// outlive the commit.
const MAX_EARLY_FENCE_AGE: Duration = Duration::from_secs(1);

impl<S: Sink> EarlyFence<S> {
    /// Returns the fence if it covers the whole change set and is still valid; otherwise passes it back to the sink.
    async fn take(mut self, touched: &Touched) -> Option<S::Fence> {
        if self.touched.touches() != touched.touches() || self.begun.elapsed() > MAX_EARLY_FENCE_AGE
        {
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
    mut connection: PooledConnection,
    touched: Touched,
    sink: Arc<S>,
    early: Option<EarlyFence<S>>,
) -> StorageResult<()> {
    if connection.has_failed() {
        // The transaction can only be rolled back: there is nothing to fence.
        return connection.commit().await;
    }
    let early = match early {
        Some(early) => early.take(&touched).await,
        None => None,
    };
    let fence = match early {
        Some(fence) => fence,
        None => sink.fence(&touched).await,
    };
    if let Some(pending) = S::pending(&fence)
        && let Err(error) = add_pending(&mut connection, &pending).await
    {
        drop(connection);
        // No COMMIT was sent.
        sink.failed(fence, true).await;
        return Err(error);
    }
    match connection.commit().await {
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

/// Keys that one statement adds.
const KEYS_PER_STATEMENT: usize = 1000;

/// Records keys that wait to be released.
pub(super) async fn add_pending(
    connection: &mut PooledConnection,
    pending: &PendingKeys,
) -> StorageResult<()> {
    let PendingKeys { keys, token } = pending;
    let row = |key: &String| NewPendingRow {
        cache_key: key.clone(),
        token: token.clone(),
        retired: false,
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    for chunk in rows.chunks(KEYS_PER_STATEMENT) {
        on_backend!(*connection, add_pending(chunk))?;
    }
    Ok(())
}
