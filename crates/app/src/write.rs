//! The one way in for writes: begin, lock, check, write, fence, commit, release, tell.

use std::sync::Arc;
use std::time::Duration;

use parlance_cache::{Cache, Fenced, TransactionOutcome, ValueFormat};
use parlance_domain::{Message, Owner};
use parlance_storage::{EarlyFence, Guarded, PendingKeys, Sink, StorageError, Touch, Touched, Tx};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::cache::ledger::pending_keys;
use crate::cache::{Encoders, codec, keys};
use crate::error::{Error, Reason, Result};
use crate::{App, Settings, etag};

/// Who hears of every commit of this instance: the cache, the tail of the feed and the dispatcher.
pub(crate) struct Changes {
    cache: Arc<Cache>,
    installation: Uuid,
    encoders: Encoders,
    news: Notify,
    jobs: Notify,
    /// How often the dispatcher looks for jobs by itself: what is due later need not wake it.
    poll: Duration,
}

impl Changes {
    pub(crate) fn new(cache: Arc<Cache>, settings: &Settings) -> Self {
        Self {
            cache,
            installation: settings.installation,
            encoders: settings.encoders,
            news: Notify::new(),
            jobs: Notify::new(),
            poll: settings.pace.poll,
        }
    }

    /// Waits for a commit of this instance; one that came since the last wait counts.
    pub(crate) async fn wait(&self) {
        self.news.notified().await;
    }

    /// Waits for a commit that may have made a job which cannot wait.
    pub(crate) async fn wait_for_jobs(&self) {
        self.jobs.notified().await;
    }

    /// Wakes the dispatcher: there are jobs to claim.
    pub(crate) fn notify_of_jobs(&self) {
        self.jobs.notify_one();
    }
}

impl Sink for Changes {
    /// Nothing, if nothing that is cached was touched.
    type Fence = Option<Fenced>;

    async fn fence(&self, touched: &Touched) -> Self::Fence {
        let writes = keys::writes(touched, self.installation);
        let writes: Vec<_> = writes.iter().map(|write| self.told(write)).collect();
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
            self.jobs.notify_one();
        }
        if let Some(fence) = fence {
            self.cache
                .release(fence, TransactionOutcome::Committed)
                .await;
        }
        // After the release: whoever hears of a change and reads it at once is to find it.
        self.news.notify_one();
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
    /// A write as the cache is told of it.
    fn told(&self, write: &keys::Write) -> parlance_cache::Write {
        match write {
            keys::Write::Changed(key) => parlance_cache::Write::Changed(*key),
            keys::Write::Appended { key, message } => {
                let most = self.cache.settings().max_value;
                let top = codec::top(self.cache.value_format(), self.encoders, message, most);
                parlance_cache::Write::Appended(*key, top)
            }
        }
    }
}

/// How often a write is begun anew that somebody else has just overtaken.
const ATTEMPTS: u32 = 8;

/// What one attempt at a write came to.
pub(crate) enum Attempt<T> {
    /// It is done.
    Done(T),
    /// Somebody else took what it wanted to make; begin anew and find theirs.
    Overtaken,
}

impl App {
    /// Begins a transaction of the owner.
    pub(crate) async fn begin(&self, owner: &Owner) -> Result<Tx> {
        Ok(self.db.begin(owner, self.now()).await?)
    }

    /// Makes the writes of a transaction true.
    pub(crate) async fn commit(&self, tx: Tx) -> Result<()> {
        Ok(tx.commit(&self.changes).await?)
    }

    /// Fences what was touched so far, if that takes longer than beginning it.
    pub(crate) fn fence_early(&self, tx: &Tx) -> Option<EarlyFence<Changes>> {
        let shared = self.cache().value_format() == ValueFormat::Text;
        shared.then(|| tx.fence_early(&self.changes))
    }

    /// Fences a message that is about to change, the row being locked.
    pub(crate) fn fence_of_change(
        &self,
        tx: &mut Tx,
        message: &Message,
        user: &str,
    ) -> Option<EarlyFence<Changes>> {
        let of = message.conversation_id;
        tx.touch(Touch::MessageChanged(message.id, of, user.to_owned()));
        self.fence_early(tx)
    }

    /// Makes the writes of a transaction true, under a fence that was begun before if there is one.
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

/// Repeats a write that was overtaken, or met a conflict (a deadlock, a row that another transaction has just removed), each time in
/// a new transaction.
pub(crate) async fn until_done<T, F>(attempt: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = Result<Attempt<T>>>,
{
    let mut conflict = None;
    for _ in 0..ATTEMPTS {
        match attempt().await {
            Ok(Attempt::Done(value)) => return Ok(value),
            Ok(Attempt::Overtaken) => {}
            Err(error) if error.reason == Reason::Conflict => conflict = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(conflict.unwrap_or_else(|| {
        Error::new(
            Reason::Conflict,
            "another write was faster each time; retry",
        )
    }))
}

/// A write that a unique value of somebody else's has stopped counts as overtaken.
pub(crate) fn overtaken_by_conflict<T>(
    result: std::result::Result<T, StorageError>,
) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StorageError::Conflict(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The row was locked when its version was read, so it cannot have moved on; if it has, nothing was written.
pub(crate) fn held(outcome: Guarded) -> Result<()> {
    match outcome {
        Guarded::Updated => Ok(()),
        Guarded::Stale => Err(Error::new(
            Reason::Conflict,
            "the resource changed at the same moment; retry",
        )),
    }
}

/// An edit of something that has been read before must be of what is there now.
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
