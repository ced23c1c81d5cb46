//! Counters.

use parlance_domain::{Channel, ConversationStatus, Direction, MessageStatus};

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
