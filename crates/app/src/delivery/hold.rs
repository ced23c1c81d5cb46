//! Holds deliveries back and releases them.

use std::sync::Arc;
use std::time::Duration;

use crate::App;
use crate::error::Result;

/// How often an instance checks the database's identity, and looks for released deliveries.
const INTERVAL: Duration = Duration::from_secs(1);
/// Stale events that one statement removes.
const BATCH: i64 = 1_000;

impl App {
    /// Holds every message of the installation that waits for delivery; returns their number. Messages that are sent
    /// later are delivered, and hand-overs under way are finished.
    pub async fn hold_delivery(&self) -> Result<i64> {
        Ok(self.db.hold_deliveries().await?)
    }

    /// Releases every held message; returns their number.
    pub async fn release_hold(&self) -> Result<i64> {
        let released = self.db.release_deliveries().await?;
        self.releases.notify_one();
        Ok(released)
    }

    /// Records the database's identity if it has changed; then ends every watcher of the previous feed and holds all
    /// deliveries that wait.
    pub(crate) async fn settle_database(&self) -> Result<i64> {
        let epoch = self.db.settle_identity(self.hub.seen()).await?;
        self.hub.end_other_epochs(epoch);
        Ok(epoch)
    }

    /// Checks the database's identity and makes released messages claimable, until the service goes down.
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
                self.changes.wake_dispatcher();
            }
            Ok(())
        });
        tokio::join!(settling, releasing);
    }
}
