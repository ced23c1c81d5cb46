//! The change feed: every change, in one order for all readers, and no reader skips a late commit.
//!
//! On Postgres an event carries the id of its transaction, and readers stay below the oldest transaction that still
//! runs: everything below it is final. The events of one conversation are in the order of its sequence, since a write
//! takes the conversation lock, an advisory lock, before its first writing statement: waiting for that lock assigns no
//! transaction id. Waiting for a row lock alone would not be enough: a writer that wakes up from it takes an id, and
//! may then find that a newer writer with a later id has locked the new version of the row. On SQLite there is one
//! writer, and the id alone is the order.

use parlance_domain::{Owner, Timestamp};

pub use crate::model::feed::{
    FeedEvent, FeedPage, FeedProgress, FeedStart, FeedState, Position, Snapshot,
};

use crate::conn::Database;
use crate::error::StorageResult;
use crate::fields::Instant;
use crate::rows::feed::FeedRow;

/// Maximum bytes of events in one page; the last event may exceed it.
pub const PAGE_BYTES: u64 = 1024 * 1024;

impl Database {
    /// Returns events of all owners after a position, up to `limit` rows and [`PAGE_BYTES`].
    pub async fn feed_page(&self, from: Position, limit: i64) -> StorageResult<FeedPage> {
        self.page(None, from, limit, PAGE_BYTES).await
    }

    /// Returns events of an owner after a position, up to `bytes`; the last event may exceed it. `limit` bounds the
    /// events of all owners that are scanned for them; only copies of the owner's events are read.
    pub async fn feed_page_of(
        &self,
        owner: &Owner,
        from: Position,
        limit: i64,
        bytes: u64,
    ) -> StorageResult<FeedPage> {
        self.page(Some(owner), from, limit, bytes).await
    }

    async fn page(
        &self,
        owner: Option<&Owner>,
        from: Position,
        limit: i64,
        bytes: u64,
    ) -> StorageResult<FeedPage> {
        let (heads, horizon) = read!(self, feed_heads(from, limit))?;
        let mut page = FeedPage {
            more: i64::try_from(heads.len()).unwrap_or(i64::MAX) >= limit,
            up_to: from,
            ..FeedPage::default()
        };
        let mut taken = None;
        for head in heads {
            if horizon.is_some_and(|horizon| head.xid >= horizon) {
                page.blocked_since = Some(head.time.into());
                page.more = false;
                break;
            }
            if owner.is_none_or(|owner| owner.as_str() == head.owner) {
                if taken.is_some_and(|taken| taken >= bytes) {
                    page.more = true;
                    break;
                }
                let size = u64::try_from(head.bytes).unwrap_or_default();
                taken = Some(taken.unwrap_or(0).saturating_add(size));
            }
            page.up_to = Position {
                xid: head.xid.0,
                id: head.id,
            };
        }
        if taken.is_some() {
            // Everything before the horizon is final, so these are the events that were just counted.
            let (range, owner) = ((from, page.up_to), owner.map(Owner::as_str));
            let rows = read!(self, feed_between(range, owner))?;
            page.events = rows.into_iter().map(event).collect::<StorageResult<_>>()?;
        }
        Ok(page)
    }

    /// Returns where a reader starts that wants only what is committed from now on.
    pub async fn feed_now(&self) -> StorageResult<FeedStart> {
        read!(self, feed_now())
    }

    /// Checks that the database answers.
    pub async fn ping(&self) -> StorageResult<()> {
        self.feed_state().await.map(|_| ())
    }

    /// Returns the identity and bounds of the feed.
    pub async fn feed_state(&self) -> StorageResult<FeedState> {
        let (row, end) = read!(self, feed_state())?;
        Ok(FeedState {
            epoch: row.epoch,
            pruned: Position {
                xid: row.pruned_xid.0,
                id: row.pruned_id,
            },
            end,
        })
    }

    /// Removes up to `limit` stale events; returns how many.
    pub async fn prune_stale_feed(&self, limit: i64) -> StorageResult<usize> {
        if read!(self, |c, q| q::feed::state(c))?.stale_id.is_none() {
            return Ok(0);
        }
        let mut connection = self.writer().await?;
        let Some(through) = on!(connection, |c, q| q::feed::lock_state(c))?.stale_id else {
            connection.rollback().await?;
            return Ok(0);
        };
        let removed = on_backend!(connection, feed_delete_stale(through, limit))?;
        if i64::try_from(removed).is_ok_and(|removed| removed < limit) {
            on!(connection, |c, q| q::feed::clear_stale(c))?;
        }
        connection.commit().await?;
        Ok(removed)
    }

    /// Removes up to `limit` events that are older than `before`; returns how many.
    pub async fn prune_feed(&self, before: Timestamp, limit: i64) -> StorageResult<usize> {
        let mut connection = self.writer().await?;
        // Locked, or a slower instance that read less would move the position back.
        let pruned = on!(connection, |c, q| q::feed::lock_state(c))?;
        if pruned.stale_id.is_some() {
            // Stale events lie among the others, and are removed first.
            connection.rollback().await?;
            return Ok(0);
        }
        let from = Position {
            xid: pruned.pruned_xid.0,
            id: pruned.pruned_id,
        };
        let (rows, horizon) = on_backend!(connection, feed_heads(from, limit))?;
        let before = Instant::from(before);
        let old = rows
            .iter()
            .take_while(|row| row.time < before && horizon.is_none_or(|h| row.xid < h));
        let Some(last) = old.last().map(|row| Position {
            xid: row.xid.0,
            id: row.id,
        }) else {
            connection.rollback().await?;
            return Ok(0);
        };
        on!(connection, |c, q| q::feed::set_pruned(
            c,
            crate::fields::Xid(last.xid),
            last.id
        ))?;
        let removed = on_backend!(connection, feed_delete_up_to(last))?;
        connection.commit().await?;
        Ok(removed)
    }
}

fn event(row: FeedRow) -> StorageResult<FeedEvent> {
    Ok(FeedEvent {
        position: Position {
            xid: row.xid.0,
            id: row.id,
        },
        owner: crate::rows::owner("feed", &row.owner, row.id)?,
        bytes: row.payload.as_ref().map_or(0, |doc| doc.0.len() as u64),
        event: row.try_into()?,
    })
}
