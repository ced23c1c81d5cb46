//! The installation itself, and the database that it runs on: the same one as before, or one that was restored or promoted.
//!
//! A restored database does not know what was done after the backup was made. Cursors of its feed name events that others have
//! replaced, and deliveries that wait in it may have left before. So a change begins another feed, and holds what waits.

use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::hold::hold;
use crate::conn::{Database, Lease};
use crate::error::StorageResult;
use crate::feed::FeedProgress;

/// What a probe writes: more than a page has free, whichever it meets.
const PROBE_BYTES: usize = 64 * 1024;

impl Database {
    /// The installation's id, made by its first migration.
    pub async fn installation(&self) -> StorageResult<Uuid> {
        read!(self, |c, q| q::installation::id(c)).map(|id| id.0)
    }

    /// The identity of the database itself: cluster, timeline and database on Postgres, a constant on SQLite.
    pub async fn identity(&self) -> StorageResult<String> {
        read!(self, |c, q| q::installation::identity(c))
    }

    /// Whether it takes writes, as far as is known. Asks it only after it has refused one: by a write that needs new space on its
    /// disk, which is repeated with each call until it succeeds.
    pub async fn check_writes(&self) -> StorageResult<()> {
        if !self.refused.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut lease = self.writer().await?;
        on!(lease, |c, q| q::installation::probe(
            c,
            vec![0; PROBE_BYTES]
        ))?;
        lease.commit().await?;
        self.refused.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Records the database, if it is another one than before, in the transaction that ends the feed and holds what waits; the
    /// epoch of the feed. The first start has nothing to end or to hold. What this process has seen of the feed proves that an
    /// earlier state of the database was restored, where the database has not come as far.
    pub async fn settle_identity(&self, seen: FeedProgress) -> StorageResult<i64> {
        let found = read!(self, present(seen))?;
        if found.is_recorded() {
            return Ok(found.epoch);
        }
        let mut lease = self.writer().await?;
        on!(lease, |c, q| q::installation::lock(c))?;
        let found = on_backend!(lease, present(seen))?;
        if found.is_recorded() {
            lease.rollback().await?;
            return Ok(found.epoch);
        }
        if found.recorded.is_empty() {
            on!(lease, |c, q| q::installation::record(c))?;
            lease.commit().await?;
            return Ok(found.epoch);
        }
        let epoch = begin_again(&mut lease, self.hold_after_restore).await?;
        lease.commit().await?;
        epoch.log(&format!(
            "the database is {}, and was {} before: it was restored or promoted",
            found.present, found.recorded
        ));
        Ok(epoch.feed)
    }

    /// The database went back to an earlier state of its own, as the cache can prove: its marker says how many reconciliation passes
    /// there were, and the database knows of fewer. Begins another feed and holds what waits, once for each marker.
    pub async fn database_went_back(&self, marker: i64) -> StorageResult<()> {
        let mut lease = self.writer().await?;
        let (passes, held_on) = on!(lease, |c, q| q::installation::lock(c))?;
        if passes > marker {
            // Another instance has seen it too.
            return lease.rollback().await;
        }
        let next = marker.saturating_add(1);
        on!(lease, |c, q| q::installation::set_reconciliations(c, next))?;
        let server = on!(lease, |c, q| q::installation::server(c))?;
        if held_on == server {
            // Found by another sign, and held: what was sent since then must go out.
            return lease.commit().await;
        }
        let epoch = begin_again(&mut lease, self.hold_after_restore).await?;
        lease.commit().await?;
        epoch.log(&format!(
            "the database knows of {passes} reconciliation passes of {marker}: an earlier state of it was restored"
        ));
        Ok(())
    }
}

/// What a restored database begins with.
struct NewEpoch {
    feed: i64,
    /// None where `HOLD_AFTER_RESTORE` is off.
    held: Option<i64>,
}

/// Within a transaction that has locked the installation.
async fn begin_again(lease: &mut Lease, holds: bool) -> StorageResult<NewEpoch> {
    // In this order everywhere: the state of the feed, then the feed.
    on!(*lease, |c, q| q::feed::lock_state(c))?;
    on_backend!(*lease, feed_begin_epoch())?;
    let held = if holds {
        Some(hold(lease).await?)
    } else {
        None
    };
    on!(*lease, |c, q| q::installation::record_hold(c))?;
    on!(*lease, |c, q| q::installation::record(c))?;
    let feed = on!(*lease, |c, q| q::feed::state(c))?.epoch;
    Ok(NewEpoch { feed, held })
}

impl NewEpoch {
    fn log(&self, why: &str) {
        if let Some(held) = self.held {
            tracing::warn!(
                held,
                "{why}; watchers begin anew, and what waited for delivery is held, since it may have left before: \
                 cancel what has, then run `parlance release`"
            );
        } else {
            tracing::warn!(
                "{why}; watchers begin anew, and with HOLD_AFTER_RESTORE=off what waited for delivery is handed over, \
                 perhaps a second time"
            );
        }
    }
}
