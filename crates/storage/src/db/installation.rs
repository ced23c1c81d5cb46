//! The installation, and the database that it runs on: the same one as before, or one that was restored or promoted.
//!
//! A restored database does not know what was done after the backup was made. Cursors of its feed refer to events that
//! have been replaced by others, and deliveries that wait in it may have been sent before. So a change of the database
//! begins a new feed epoch and holds the waiting deliveries.

use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::hold::hold;
use crate::conn::{Database, PooledConnection};
use crate::error::StorageResult;
use crate::model::feed::FeedProgress;

/// Bytes that a probe writes: more than any page has free.
const PROBE_BYTES: usize = 64 * 1024;

impl Database {
    /// Returns the id of the installation, created by its first migration.
    pub async fn installation(&self) -> StorageResult<Uuid> {
        read!(self, |c, q| q::installation::id(c)).map(|id| id.0)
    }

    /// Returns the identity of the database: cluster, timeline and database on Postgres, a constant on SQLite.
    pub async fn identity(&self) -> StorageResult<String> {
        read!(self, |c, q| q::installation::identity(c))
    }

    /// Checks whether the database accepts writes. Queries it only after it has refused one: by a write that needs new
    /// space on its disk, repeated with each call until it succeeds.
    pub async fn check_writes(&self) -> StorageResult<()> {
        if !self.refused.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut connection = self.writer().await?;
        on!(connection, |c, q| q::installation::probe(
            c,
            vec![0; PROBE_BYTES]
        ))?;
        connection.commit().await?;
        self.refused.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Records the database if it is not the recorded one, in the transaction that ends the feed epoch and holds the
    /// waiting deliveries; returns the epoch of the feed. The first start has nothing to end or to hold. If the
    /// database is behind what this process has read of the feed, an earlier state of it was restored.
    pub async fn settle_identity(&self, seen: FeedProgress) -> StorageResult<i64> {
        let found = read!(self, read_identity(seen))?;
        if found.is_recorded() {
            return Ok(found.epoch);
        }
        let mut connection = self.writer().await?;
        on!(connection, |c, q| q::installation::lock(c))?;
        let found = on_backend!(connection, read_identity(seen))?;
        if found.is_recorded() {
            connection.rollback().await?;
            return Ok(found.epoch);
        }
        if found.recorded.is_empty() {
            on!(connection, |c, q| q::installation::record(c))?;
            connection.commit().await?;
            return Ok(found.epoch);
        }
        let epoch = begin_epoch(&mut connection, self.hold_after_restore).await?;
        connection.commit().await?;
        epoch.log(&format!(
            "the database is {}, and was {} before: it was restored or promoted",
            found.present, found.recorded
        ));
        Ok(epoch.feed)
    }

    /// Handles proof by the cache that the database went back to an earlier state: the marker counts more
    /// reconciliation passes than the database knows of. Begins a new feed epoch and holds the waiting deliveries, once
    /// for each marker.
    pub async fn database_went_back(&self, marker: i64) -> StorageResult<()> {
        let mut connection = self.writer().await?;
        let (passes, held_on) = on!(connection, |c, q| q::installation::lock(c))?;
        if passes > marker {
            // Another instance has detected it too.
            return connection.rollback().await;
        }
        let next = marker.saturating_add(1);
        on!(connection, |c, q| q::installation::set_reconciliations(
            c, next
        ))?;
        let server = on!(connection, |c, q| q::installation::server(c))?;
        if held_on == server {
            // Detected by another sign, and held already: what was queued since then must be sent.
            return connection.commit().await;
        }
        let epoch = begin_epoch(&mut connection, self.hold_after_restore).await?;
        connection.commit().await?;
        epoch.log(&format!(
            "the database has counted {passes} of {marker} reconciliation passes: an earlier state of it was restored"
        ));
        Ok(())
    }
}

/// What a restored database begins with.
struct NewEpoch {
    feed: i64,
    /// `None` if `HOLD_AFTER_RESTORE` is off.
    held: Option<i64>,
}

/// Begins a new feed epoch within a transaction that has locked the installation.
async fn begin_epoch(connection: &mut PooledConnection, holds: bool) -> StorageResult<NewEpoch> {
    // In this order everywhere: the state of the feed, then the feed.
    on!(*connection, |c, q| q::feed::lock_state(c))?;
    on_backend!(*connection, feed_begin_epoch())?;
    let held = if holds {
        Some(hold(connection).await?)
    } else {
        None
    };
    on!(*connection, |c, q| q::installation::record_hold(c))?;
    on!(*connection, |c, q| q::installation::record(c))?;
    let feed = on!(*connection, |c, q| q::feed::state(c))?.epoch;
    Ok(NewEpoch { feed, held })
}

impl NewEpoch {
    fn log(&self, why: &str) {
        if let Some(held) = self.held {
            tracing::warn!(
                held,
                "{why}; watchers must start again, and waiting deliveries are held, since they may have been sent before: \
                 cancel those that were, then run `parlance release`"
            );
        } else {
            tracing::warn!(
                "{why}; watchers must start again, and with HOLD_AFTER_RESTORE=off waiting deliveries are handed over, \
                 perhaps a second time"
            );
        }
    }
}
