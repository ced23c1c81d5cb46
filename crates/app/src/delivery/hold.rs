//! Holding deliveries back, and releasing them.

use std::sync::Arc;
use std::time::Duration;

use crate::App;
use crate::error::Result;

/// How often an instance looks whether the database is still the recorded one, and for what was released.
const INTERVAL: Duration = Duration::from_secs(1);
/// Stale events that one statement removes.
const BATCH: i64 = 1_000;

impl App {
    /// Holds every message of the installation that waits for delivery, and says how many these are. What is sent later goes out;
    /// what is being handed over is finished.
    pub async fn hold_delivery(&self) -> Result<i64> {
        Ok(self.db.hold_deliveries().await?)
    }

    /// Releases every message that is held, and says how many these are.
    pub async fn release_hold(&self) -> Result<i64> {
        let released = self.db.release_deliveries().await?;
        self.releases.notify_one();
        Ok(released)
    }

    /// Records the database, if it is another one than before; then ends every watcher of the feed before, and holds what waits.
    pub(crate) async fn settle_database(&self) -> Result<i64> {
        let epoch = self.db.settle_identity(self.hub.seen()).await?;
        self.hub.end_other_epochs(epoch);
        Ok(epoch)
    }

    /// Watches over the database's identity, and makes released messages claimable, until the service goes down.
    pub async fn run_restore_watch(self: Arc<Self>) {
        let settling = self.each(INTERVAL, "database_identity", || async {
            self.settle_database().await?;
            while self.db.prune_stale_feed(BATCH).await? > 0 {}
            Ok(())
        });
        let releasing = self.each(Duration::ZERO, "released_deliveries", || async {
            let _ = tokio::time::timeout(INTERVAL, self.releases.notified()).await;
            let mut moved = false;
            while !*self.going_down.borrow() && self.db.move_released().await? > 0 {
                moved = true;
            }
            if moved {
                self.changes.notify_of_jobs();
            }
            Ok(())
        });
        tokio::join!(settling, releasing);
    }
}
