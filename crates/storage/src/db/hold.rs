//! Holds: deliveries are held back until an operator releases them.

use std::collections::BTreeSet;

use crate::conn::{Database, PooledConnection};
use crate::error::StorageResult;
use crate::fields::Id;

/// Conversations that one transaction of a release handles.
const CONVERSATIONS: i64 = 64;
/// Deliveries of one conversation that it moves.
const ROWS: i64 = 500;

impl Database {
    /// Holds every delivery that waits now; returns how many are held. Running hand-overs are finished.
    pub async fn hold_deliveries(&self) -> StorageResult<i64> {
        let mut connection = self.writer().await?;
        let held = hold(&mut connection).await?;
        connection.commit().await?;
        Ok(held)
    }

    /// Releases every held delivery; returns how many were held. [`Self::move_released`] makes them claimable.
    pub async fn release_deliveries(&self) -> StorageResult<i64> {
        let mut connection = self.writer().await?;
        let range = on!(connection, |c, q| q::hold::held_range(c))?;
        let held = on!(connection, |c, q| q::hold::count(c, range))?;
        on!(connection, |c, q| q::hold::release(c))?;
        connection.commit().await?;
        Ok(held)
    }

    /// Moves some released deliveries back into their conversation queues, in order; returns how many. Skips
    /// conversations that another transaction has locked.
    pub async fn move_released(&self) -> StorageResult<usize> {
        if read!(self, |c, q| q::hold::unmoved(c, 1))?.is_empty() {
            return Ok(0);
        }
        let mut connection = self.writer().await?;
        let found = on!(connection, |c, q| q::hold::unmoved(c, CONVERSATIONS))?;
        let owners: BTreeSet<_> = found.into_iter().map(|(owner, id)| (id, owner)).collect();
        let wanted: Vec<Id> = owners.iter().map(|(id, _)| *id).collect();
        let locked = on_backend!(connection, try_conversation_locks(&wanted))?;
        let locked: BTreeSet<Id> = locked.into_iter().collect();
        let (released, present) = on!(connection, |c, q| q::hold::held_range(c))?;
        let mut moved = 0;
        for (conversation, owner) in owners.iter().filter(|(id, _)| locked.contains(id)) {
            let queue = (owner.as_str(), *conversation);
            moved += move_queue(&mut connection, queue, released, present).await?;
        }
        connection.commit().await?;
        Ok(moved)
    }
}

/// Holds within a transaction.
pub(crate) async fn hold(connection: &mut PooledConnection) -> StorageResult<i64> {
    on!(*connection, |c, q| q::hold::hold(c))?;
    let range = on!(*connection, |c, q| q::hold::held_range(c))?;
    on!(*connection, |c, q| q::hold::count(c, range))
}

/// Moves the released deliveries of one conversation, which the transaction has locked.
async fn move_queue(
    connection: &mut PooledConnection,
    queue: (&str, Id),
    released: i64,
    present: i64,
) -> StorageResult<usize> {
    let (owner, conversation) = queue;
    let rows = on!(*connection, |c, q| q::hold::unmoved_of(
        c, queue, released, ROWS
    ))?;
    let Some((_, last)) = rows.last().copied() else {
        return Ok(0);
    };
    // They come before what is in the queue by now, except for a delivery that is being handed over.
    on!(*connection, |c, q| q::hold::block(c, queue, present))?;
    let ids: Vec<Id> = rows.iter().map(|(id, _)| *id).collect();
    let moved = ids.len();
    on!(*connection, |c, q| q::hold::move_up(c, ids, present))?;
    let mut queues = vec![(conversation, last)];
    let is_claimed = on!(*connection, |c, q| q::hold::is_claimed(c, queue, present))?;
    if !is_claimed {
        queues.push((conversation, present));
    }
    // The rest of the old queue again has a first delivery that is not blocked, by which it is found.
    on_backend!(*connection, unblock_queues(owner, &queues))?;
    Ok(moved)
}
