//! The single path of writes: begin, lock, check, write, fence, commit, release, notify.

use std::sync::Arc;
use std::time::Duration;

use parlance_cache::{Cache, Fenced, TransactionOutcome, ValueFormat};
use parlance_domain::Owner;
use parlance_storage::{EarlyFence, Guarded, PendingKeys, Sink, StorageError, Touched, Tx};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::cache::ledger::pending_keys;
use crate::cache::{Encoders, codec, keys};
use crate::error::{Error, Reason, Result};
use crate::{App, Settings, etag};

/// Notifies the cache, the tail of the feed and the dispatcher of every commit of this instance.
pub(crate) struct Changes {
    cache: Arc<Cache>,
    installation: Uuid,
    encoders: Encoders,
    commits: Notify,
    deliveries: Notify,
    /// The dispatcher's polling interval; a delivery that is due later than this need not wake it.
    poll: Duration,
}

impl Changes {
    pub(crate) fn new(cache: Arc<Cache>, settings: &Settings) -> Self {
        Self {
            cache,
            installation: settings.installation,
            encoders: settings.encoders,
            commits: Notify::new(),
            deliveries: Notify::new(),
            poll: settings.pace.poll,
        }
    }

    /// Waits for a commit of this instance; a commit since the last wait counts.
    pub(crate) async fn wait(&self) {
        self.commits.notified().await;
    }

    /// Waits for a commit that may have made a delivery that is due soon.
    pub(crate) async fn wait_for_deliveries(&self) {
        self.deliveries.notified().await;
    }

    /// Wakes the dispatcher: there are deliveries to claim.
    pub(crate) fn wake_dispatcher(&self) {
        self.deliveries.notify_one();
    }
}

impl Sink for Changes {
    /// `None` if no cached value is touched.
    type Fence = Option<Fenced>;

    async fn fence(&self, touched: &Touched) -> Self::Fence {
        let writes = keys::writes(touched, self.installation);
        let writes: Vec<_> = writes.iter().map(|write| self.cache_write(write)).collect();
        if writes.is_empty() {
            return None;
        }
        Some(self.cache.fence(writes).await)
    }

    fn is_valid(&self, fence: &Self::Fence) -> bool {
        fence
            .as_ref()
            .is_none_or(|fence| self.cache.is_fence_valid(fence))
    }

    fn pending(fence: &Self::Fence) -> Option<PendingKeys> {
        let (keys, token) = fence.as_ref()?.pending()?;
        Some(pending_keys(keys, token))
    }

    async fn committed(&self, touched: &Touched, fence: Self::Fence) {
        if touched.next_delivery().is_some_and(|wait| wait < self.poll) {
            self.deliveries.notify_one();
        }
        if let Some(fence) = fence {
            self.cache
                .release(fence, TransactionOutcome::Committed)
                .await;
        }
        // After the release, so that a reader that is notified and reads at once sees the change.
        self.commits.notify_one();
    }

    async fn failed(&self, fence: Self::Fence, certain: bool) {
        let ended = if certain {
            TransactionOutcome::Aborted
        } else {
            TransactionOutcome::Unknown
        };
        if let Some(fence) = fence {
            self.cache.release(fence, ended).await;
        }
    }
}

impl Changes {
    /// Translates a write for the cache.
    fn cache_write(&self, write: &keys::Write) -> parlance_cache::Write {
        match write {
            keys::Write::Changed(key) => parlance_cache::Write::Changed(*key),
            keys::Write::Appended { key, message } => {
                let most = self.cache.settings().max_value;
                let entry =
                    codec::newest_entry(self.cache.value_format(), self.encoders, message, most);
                parlance_cache::Write::Appended(*key, entry)
            }
        }
    }
}

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
