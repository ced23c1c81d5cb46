//! The single path of writes: begin, lock, check, write, fence, commit, release, notify.

use std::sync::Arc;

use parlance_cache::ValueFormat;
use parlance_domain::Owner;
use parlance_storage::{EarlyFence, Guarded, StorageError, Tx};

use crate::changes::Changes;
use crate::error::{Error, Reason, Result};
use crate::{App, etag};

/// How often a write that meets a conflict is retried.
const ATTEMPTS: u32 = 8;

/// Result of one attempt at a write.
pub(crate) enum TryResult<T> {
    /// The write is done.
    Done(T),
    /// Another transaction created the same thing; a new attempt finds it.
    Conflict,
}

impl App {
    /// Begins a transaction of the owner.
    pub(crate) async fn begin(&self, owner: &Owner) -> Result<Tx> {
        Ok(self.db.begin(owner, self.now()).await?)
    }

    /// Commits a transaction.
    pub(crate) async fn commit(&self, tx: Tx) -> Result<()> {
        Ok(tx.commit(&self.changes).await?)
    }

    /// The sink for a fence that is started before the last statements, if fencing takes a round trip.
    pub(crate) fn early_fence_sink(&self) -> Option<&Arc<Changes>> {
        let shared = self.cache().value_format() == ValueFormat::Text;
        shared.then_some(&self.changes)
    }

    /// Starts the fence for the changes so far, if fencing takes a round trip.
    pub(crate) fn fence_early(&self, tx: &Tx) -> Option<EarlyFence<Changes>> {
        self.early_fence_sink().map(|sink| tx.fence_early(sink))
    }

    /// Commits a transaction, under a fence that was started before if there is one.
    pub(crate) async fn commit_fenced(
        &self,
        tx: Tx,
        ahead: Option<EarlyFence<Changes>>,
    ) -> Result<()> {
        match ahead {
            Some(ahead) => Ok(tx.commit_fenced(ahead).await?),
            None => self.commit(tx).await,
        }
    }
}

/// Retries a write that met a conflict (a concurrent creation, a deadlock, a row that another transaction has just
/// removed), each time in a new transaction.
pub(crate) async fn retry_on_conflict<T, F>(attempt: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<TryResult<T>>>,
{
    let mut conflict = None;
    for _ in 0..ATTEMPTS {
        match attempt().await {
            Ok(TryResult::Done(value)) => return Ok(value),
            Ok(TryResult::Conflict) => {}
            Err(error) if error.reason == Reason::Conflict => conflict = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(conflict.unwrap_or_else(|| {
        Error::new(
            Reason::Conflict,
            "too many concurrent writes to the same resource; retry",
        )
    }))
}

/// Turns a unique-constraint conflict into `None`, which the caller treats as [`TryResult::Conflict`].
pub(crate) fn none_on_conflict<T>(
    result: std::result::Result<T, StorageError>,
) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StorageError::Conflict(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Fails if a guarded update wrote nothing. The row was locked when its version was read, so this should not happen.
pub(crate) fn ensure_updated(outcome: Guarded) -> Result<()> {
    match outcome {
        Guarded::Updated => Ok(()),
        Guarded::Stale => Err(Error::new(
            Reason::Conflict,
            "the resource was changed by a concurrent request; retry",
        )),
    }
}

/// Checks that an edit is based on the present version.
pub(crate) fn check_etag(given: Option<&str>, edit_version: i64) -> Result<()> {
    let current = etag(edit_version);
    match given {
        Some(given) if given != current => Err(Error::new(
            Reason::EtagMismatch,
            "the resource has changed since it was read; read it again",
        )
        .with("etag", current)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::messages::SendMessage;
    use crate::{App, Result};
    use parlance_domain::Owner;

    fn is_send<T: Send>(_: &T) {}

    /// The transport moves futures between threads.
    #[expect(dead_code, reason = "it only has to compile")]
    async fn a_write_can_be_moved_between_threads(
        app: &App,
        owner: &Owner,
        request: SendMessage,
    ) -> Result<()> {
        let send = app.send_message(owner, request);
        is_send(&send);
        send.await.map(|_| ())
    }
}
