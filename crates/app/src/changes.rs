//! The commit hook of every write: fences and releases cached values, and notifies the feed and the dispatcher.

use std::sync::Arc;
use std::time::Duration;

use parlance_cache::{Cache, Fenced, TransactionOutcome};
use parlance_storage::{PendingKeys, Sink, Touched};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::cache::ledger::pending_keys;
use crate::cache::{Encoders, codec, keys};
use crate::settings::Settings;

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
