//! Counters, exact at any time: each write appends its deltas in its own transaction, and a read sums the folded totals
//! and the deltas in one statement. There is no row that every write updates.

use parlance_domain::{Channel, ConversationStatus, Direction, MessageStatus, Owner};

use crate::conn::Database;
use crate::error::StorageResult;

/// What a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CounterKind {
    /// Conversations.
    Conversations {
        /// Channel.
        channel: Channel,
        /// Status.
        status: ConversationStatus,
    },
    /// Messages.
    Messages {
        /// Channel.
        channel: Channel,
        /// Direction.
        direction: Direction,
        /// Status.
        status: MessageStatus,
    },
}

/// Numbers of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// What is counted.
    pub kind: CounterKind,
    /// Number of items.
    pub items: i64,
    /// For conversations: how many of them have unread messages.
    pub unread_items: i64,
    /// For conversations: how many unread messages they have.
    pub unread: i64,
    /// For messages: the tokens that they used.
    pub tokens: i64,
}

impl Database {
    /// Returns all counters of an owner, or of one of its users. Zero counters are left out. A conversation that is
    /// being deleted is not counted, and neither are its messages.
    pub async fn counters(&self, owner: &Owner, user: Option<&str>) -> StorageResult<Vec<Counter>> {
        let rows = read!(self, |c, q| q::stats::sums(c, owner.as_str(), user))?;
        rows.into_iter().map(Counter::try_from).collect()
    }

    /// Folds up to `limit` deltas of the whole installation into the totals; returns how many. Instances that fold at
    /// once share them.
    pub async fn fold_counters(&self, limit: i64) -> StorageResult<usize> {
        // Most of the time there are none: then no writer has to wait.
        if !read!(self, |c, q| q::stats::has_deltas(c))? {
            return Ok(0);
        }
        let mut connection = self.writer().await?;
        let folded = on_backend!(connection, fold_counters(limit))?;
        connection.commit().await?;
        Ok(folded)
    }
}
