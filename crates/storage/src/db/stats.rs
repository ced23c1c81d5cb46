//! Counters, exact at any moment: each write appends what it changed in its own transaction, and a read sums what was folded
//! and what was not yet, in one statement. No row is written by all.

use parlance_domain::{Channel, ConversationStatus, Direction, MessageStatus, Owner};

use crate::conn::Database;
use crate::error::StorageResult;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CounterKind {
    /// Conversations.
    Conversations {
        /// On this channel.
        channel: Channel,
        /// In this state.
        status: ConversationStatus,
    },
    /// Messages.
    Messages {
        /// On this channel.
        channel: Channel,
        /// Going this way.
        direction: Direction,
        /// In this state.
        status: MessageStatus,
    },
}

/// Numbers of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Of what.
    pub kind: CounterKind,
    /// How many.
    pub items: i64,
    /// Of conversations: how many of them have unread messages.
    pub unread_items: i64,
    /// Of conversations: how many unread messages they have.
    pub unread: i64,
    /// Of messages: the tokens that they used.
    pub tokens: i64,
}

impl Database {
    /// Everything that is counted of an owner, or of one of its users. What is not there is left out, and a conversation that
    /// is being deleted counts no more, nor do its messages.
    pub async fn counters(&self, owner: &Owner, user: Option<&str>) -> StorageResult<Vec<Counter>> {
        let rows = read!(self, |c, q| q::stats::sums(c, owner.as_str(), user))?;
        rows.into_iter().map(Counter::try_from).collect()
    }

    /// Adds up to `limit` changes of the whole installation to the totals; how many. Instances that do so at once share them.
    pub async fn fold_counters(&self, limit: i64) -> StorageResult<usize> {
        // Most of the time there is none: then nobody who writes has to wait.
        if !read!(self, |c, q| q::stats::has_deltas(c))? {
            return Ok(0);
        }
        let mut lease = self.writer().await?;
        let folded = on_backend!(lease, fold_counters(limit))?;
        lease.commit().await?;
        Ok(folded)
    }
}
