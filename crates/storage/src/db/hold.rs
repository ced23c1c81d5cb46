//! Holding deliveries back until an operator releases them.

use std::collections::BTreeSet;

use crate::conn::{Database, Lease};
use crate::error::StorageResult;
use crate::fields::Id;

/// Conversations that one transaction of a release looks at.
const CONVERSATIONS: i64 = 64;
/// Deliveries of one conversation that it moves.
const ROWS: i64 = 500;

impl Database {
    /// Holds every delivery that waits now, and says how many these are. What is being handed over is finished.
    pub async fn hold_deliveries(&self) -> StorageResult<i64> {
        let mut lease = self.writer().await?;
        let held = hold(&mut lease).await?;
        lease.commit().await?;
        Ok(held)
    }

    /// Releases every delivery that is held, and says how many these are. [`Self::move_released`] makes them claimable.
    pub async fn release_deliveries(&self) -> StorageResult<i64> {
        let mut lease = self.writer().await?;
        let range = on!(lease, |c, q| q::hold::held_range(c))?;
        let held = on!(lease, |c, q| q::hold::count(c, range))?;
        on!(lease, |c, q| q::hold::release(c))?;
        lease.commit().await?;
        Ok(held)
    }

    /// Puts some of what was released back into the lines of its conversations, in order; how many deliveries. It passes over
    /// conversations that another transaction has locked.
    pub async fn move_released(&self) -> StorageResult<usize> {
        if read!(self, |c, q| q::hold::unmoved(c, 1))?.is_empty() {
            return Ok(0);
        }
        let mut lease = self.writer().await?;
        let found = on!(lease, |c, q| q::hold::unmoved(c, CONVERSATIONS))?;
        let owners: BTreeSet<_> = found.into_iter().map(|(owner, id)| (id.0, owner)).collect();
        let turns: Vec<Id> = owners.iter().map(|(id, _)| Id(*id)).collect();
        let turns = on_backend!(lease, try_turns(&turns))?;
        let turns: BTreeSet<_> = turns.into_iter().map(|turn| turn.0).collect();
        let (released, present) = on!(lease, |c, q| q::hold::held_range(c))?;
        let mut moved = 0;
        for (conversation, owner) in owners.iter().filter(|(id, _)| turns.contains(id)) {
            let line = (owner.as_str(), Id(*conversation));
            moved += move_line(&mut lease, line, released, present).await?;
        }
        lease.commit().await?;
        Ok(moved)
    }
}

/// Holds within a transaction.
pub(crate) async fn hold(lease: &mut Lease) -> StorageResult<i64> {
    on!(*lease, |c, q| q::hold::hold(c))?;
    let range = on!(*lease, |c, q| q::hold::held_range(c))?;
    on!(*lease, |c, q| q::hold::count(c, range))
}

/// Moves the released deliveries of one conversation, whose turn the transaction has.
async fn move_line(
    lease: &mut Lease,
    line: (&str, Id),
    released: i64,
    present: i64,
) -> StorageResult<usize> {
    let (owner, conversation) = line;
    let rows = on!(*lease, |c, q| q::hold::unmoved_of(c, line, released, ROWS))?;
    let Some((_, last)) = rows.last().copied() else {
        return Ok(0);
    };
    // They come before what is in the line by now, but for a delivery that is being handed over.
    on!(*lease, |c, q| q::hold::block(c, line, present))?;
    let ids: Vec<Id> = rows.iter().map(|(id, _)| *id).collect();
    let moved = ids.len();
    on!(*lease, |c, q| q::hold::move_up(c, ids, present))?;
    let mut lines = vec![(conversation, last)];
    let is_claimed = on!(*lease, |c, q| q::hold::is_claimed(c, line, present))?;
    if !is_claimed {
        lines.push((conversation, present));
    }
    // What is left of the old line has a first one again, by which it is found.
    on_backend!(*lease, free_lines(owner, &lines))?;
    Ok(moved)
}
