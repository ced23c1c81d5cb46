//! The one way in for writes.

use std::sync::Arc;

use parlance_domain::{Owner, Timestamp};

use crate::conn::{Database, Lease};
use crate::error::{StorageError, StorageResult};
use crate::touched::{Touch, Touched};

/// Who must hear of every commit. A transaction cannot be committed without one.
pub trait Sink: Send + Sync + 'static {
    /// Called after the commit and before the write is acknowledged, even if the caller has left.
    fn committed(&self, touched: &Touched) -> impl Future<Output = ()> + Send;
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
    touched: Touched,
}

impl Database {
    /// Begins a transaction.
    pub async fn begin(&self, owner: &Owner, now: Timestamp) -> StorageResult<Tx> {
        let lease = self.writer().await?;
        Ok(Tx {
            lease,
            owner: owner.clone(),
            now,
            touched: Touched::nothing(owner.clone()),
        })
    }
}

impl Tx {
    /// Makes the writes true and tells the sink. From here on it is finished even if the caller leaves: both run in a task of
    /// their own.
    pub async fn commit<S: Sink>(self, sink: &Arc<S>) -> StorageResult<()> {
        let Self { lease, touched, .. } = self;
        let sink = Arc::clone(sink);
        let finish = async move {
            lease.commit().await?;
            sink.committed(&touched).await;
            Ok(())
        };
        tokio::spawn(finish)
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

    pub(crate) fn touch(&mut self, touch: Touch) {
        self.touched.add(touch);
    }
}
