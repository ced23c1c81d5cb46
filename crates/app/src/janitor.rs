//! What grows old is removed, and what was cut off is finished: in the background, by every instance.

use std::sync::Arc;
use std::time::Duration;

use crate::App;
use crate::error::Result;

/// How often.
const INTERVAL: Duration = Duration::from_mins(1);
/// Rows that one statement removes.
const BATCH: i64 = 1_000;
/// A deletion that is this old has lost whoever began it.
const ABANDONED: Duration = Duration::from_mins(1);

impl App {
    /// Cleans up once a minute until the service goes down.
    pub async fn run_janitor(self: Arc<Self>) {
        let mut going_down = self.going_down.subscribe();
        loop {
            if let Err(error) = self.clean_up().await {
                tracing::warn!(%error, cause = error.source.as_ref().map(tracing::field::display), "cleaning up failed; the next round tries again");
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                _ = going_down.wait_for(|down| *down) => return,
            }
        }
    }

    /// Cleans up once.
    pub async fn clean_up(&self) -> Result<()> {
        let now = self.now();
        let limit = usize::try_from(BATCH).unwrap_or(usize::MAX);
        while self
            .db
            .prune_feed(now.minus(self.settings.feed_retention), BATCH)
            .await?
            == limit
        {}
        self.db
            .prune_keys(now.minus(self.settings.request_id_retention))
            .await?;
        self.db.prune_uploads(now).await?;
        for hidden in self
            .db
            .unfinished_deletions(now.minus(ABANDONED), BATCH)
            .await?
        {
            self.remove_hidden(&hidden).await?;
        }
        for (owner, id) in self.db.pending_for_search(BATCH).await? {
            self.index_rest(&owner, id).await?;
        }
        Ok(())
    }
}
