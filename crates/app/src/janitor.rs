//! Background upkeep: every instance removes old data and finishes interrupted work. Each part runs on its own, so
//! that none waits for another or stops with it. An item that fails is counted and skipped.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;

use crate::App;
use crate::error::{Reason, Result};
use crate::limit::within;
use crate::upkeep::JanitorPart;

/// Rows that one statement removes.
const BATCH: i64 = 1_000;
/// Age at which an unfinished deletion counts as abandoned by its caller.
const ABANDONED: Duration = Duration::from_mins(1);

/// The size above which the write-ahead log of SQLite is emptied.
const LOG_BYTES: u64 = 64 * 1024 * 1024;
/// How long providers may redeliver a message.
const REDELIVERED: Duration = Duration::from_hours(30 * 24);

/// Time limit of a round. A round removes everything in short transactions; one that takes longer hangs, and the next
/// continues.
const LONGEST_ROUND: Duration = Duration::from_hours(1);

impl App {
    /// Runs all parts of the upkeep until the service goes down.
    pub async fn run_janitor(self: Arc<Self>) {
        join_all(JanitorPart::ALL.map(|part| self.repeat(part))).await;
    }

    async fn repeat(&self, part: JanitorPart) {
        self.each(part.interval(), part.as_str(), || {
            within(LONGEST_ROUND, self.maintain(part))
        })
        .await;
    }

    /// Runs a background task at an interval until the service goes down.
    pub(crate) async fn each<F>(&self, interval: Duration, task: &'static str, run: impl Fn() -> F)
    where
        F: Future<Output = Result<()>>,
    {
        let mut going_down = self.going_down.subscribe();
        let mut failed = false;
        loop {
            let result = run().await;
            // Logged once, however long the database is unavailable.
            if let Err(error) = &result
                && !failed
            {
                let cause = error.causes();
                tracing::warn!(task, %error, cause, "a background task failed; the next round tries again");
            }
            failed = result.is_err();
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                _ = going_down.wait_for(|down| *down) => return,
            }
        }
    }

    /// Runs one part of the upkeep once.
    pub async fn maintain(&self, part: JanitorPart) -> Result<()> {
        let result = match part {
            JanitorPart::Feed => self.prune_feed().await,
            JanitorPart::RequestIds => self.prune_request_ids().await,
            JanitorPart::DeletedMessages => self.prune_deleted_messages().await,
            JanitorPart::Uploads => self.prune_uploads().await,
            JanitorPart::Deletions => self.finish_deletions().await,
            JanitorPart::SearchIndex => self.finish_index().await,
            JanitorPart::Retention => self.drop_aged().await.map(|_| ()),
            JanitorPart::Counters => self.fold().await,
            JanitorPart::Log => self.limit_log().await,
        };
        if result.is_err() {
            self.janitor_failures.add(part);
        }
        result
    }

    /// How often a part of the upkeep, or an item of it, has failed since the start.
    pub fn janitor_failures(&self, part: JanitorPart) -> u64 {
        let failures = self.janitor_failures.of(part);
        failures.map_or(0, |failures| failures.load(Ordering::Relaxed))
    }

    /// Counts and logs an item that failed, so that its part goes on with the next; `None` for such an item. If the
    /// database is unavailable every item would fail, so that error ends the part.
    pub(crate) fn skip_failed<T>(
        &self,
        part: JanitorPart,
        item: impl std::fmt::Display,
        result: Result<T>,
    ) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.reason == Reason::DatabaseUnavailable => Err(error),
            Err(error) => {
                self.janitor_failures.add(part);
                let cause = error.causes();
                tracing::warn!(part = part.as_str(), %item, %error, cause, "background upkeep skipped an item that failed");
                Ok(None)
            }
        }
    }

    pub(crate) fn is_going_down(&self) -> bool {
        *self.going_down.borrow()
    }

    /// Whether a statement removed as many rows as it may, so that more may be left.
    fn may_have_more(&self, removed: usize) -> bool {
        i64::try_from(removed).is_ok_and(|removed| removed >= BATCH) && !self.is_going_down()
    }

    async fn prune_feed(&self) -> Result<()> {
        let before = self.now().minus(self.settings.feed_retention);
        while self.may_have_more(self.db.prune_feed(before, BATCH).await?) {}
        Ok(())
    }

    async fn prune_request_ids(&self) -> Result<()> {
        let before = self.now().minus(self.settings.request_id_retention);
        while self.may_have_more(self.db.prune_keys(before, BATCH).await?) {}
        Ok(())
    }

    async fn prune_deleted_messages(&self) -> Result<()> {
        let before = self.now().minus(REDELIVERED);
        while self.may_have_more(self.db.prune_deleted_messages(before, BATCH).await?) {}
        Ok(())
    }

    async fn prune_uploads(&self) -> Result<()> {
        while self.db.prune_uploads(self.now()).await?.more && !self.is_going_down() {}
        Ok(())
    }

    async fn finish_deletions(&self) -> Result<()> {
        let since = self.now().minus(ABANDONED);
        for hidden in self.db.unfinished_deletions(since, BATCH).await? {
            let removed = self.remove_hidden(&hidden).await;
            self.skip_failed(JanitorPart::Deletions, hidden.id, removed)?;
        }
        Ok(())
    }

    async fn finish_index(&self) -> Result<()> {
        for (owner, id) in self.db.pending_for_search(BATCH).await? {
            let indexed = self.index_rest(&owner, id).await;
            self.skip_failed(JanitorPart::SearchIndex, id, indexed)?;
        }
        Ok(())
    }

    async fn limit_log(&self) -> Result<()> {
        self.db.limit_log(LOG_BYTES).await?;
        Ok(())
    }

    /// Folds the counters' changes into their totals.
    pub async fn fold(&self) -> Result<()> {
        while self.may_have_more(self.db.fold_counters(BATCH).await?) {}
        Ok(())
    }
}
