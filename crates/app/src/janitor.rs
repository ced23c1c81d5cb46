//! What grows old is removed, and what was cut off is finished: in the background, by every instance.

use std::sync::Arc;
use std::time::Duration;

use crate::App;
use crate::error::Result;

/// How often.
const INTERVAL: Duration = Duration::from_mins(1);
/// How often counters are folded: a read sums what is left.
const FOLDING: Duration = Duration::from_secs(1);
/// Rows that one statement removes.
const BATCH: i64 = 1_000;
/// A deletion that is this old has lost whoever began it.
const ABANDONED: Duration = Duration::from_mins(1);

impl App {
    /// Cleans up, drops what is past its time and writes down what is searched for once a minute, and folds counters once a
    /// second, until the service goes down.
    pub async fn run_janitor(self: Arc<Self>) {
        let cleaning = self.each(INTERVAL, "cleaning up", |app| async move {
            app.clean_up().await
        });
        let folding = self.each(FOLDING, "folding counters", |app| async move {
            app.fold().await
        });
        // Apart, since the first time it may take hours.
        let dropping = self.each(
            INTERVAL,
            "dropping what is past its time",
            |app| async move { app.drop_aged().await.map(|_| ()) },
        );
        let noting = self.each(INTERVAL, "noting popular searches", |app| async move {
            app.keep_popular().await
        });
        tokio::join!(cleaning, folding, dropping, noting);
    }

    /// Does it again and again until the service goes down.
    pub(crate) async fn each<F>(
        self: &Arc<Self>,
        interval: Duration,
        what: &'static str,
        work: impl Fn(Arc<Self>) -> F,
    ) where
        F: Future<Output = Result<()>>,
    {
        let mut going_down = self.going_down.subscribe();
        let mut failed = false;
        loop {
            let result = work(Arc::clone(self)).await;
            // Once, however long the database is away.
            if let Err(error) = &result
                && !failed
            {
                tracing::warn!(%error, cause = error.source.as_ref().map(tracing::field::display), "{what} failed; the next round tries again");
            }
            failed = result.is_err();
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                _ = going_down.wait_for(|down| *down) => return,
            }
        }
    }

    /// Folds the counters' changes into their totals.
    pub async fn fold(&self) -> Result<()> {
        let limit = usize::try_from(BATCH).unwrap_or(usize::MAX);
        while self.db.fold_counters(BATCH).await? == limit {}
        Ok(())
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
