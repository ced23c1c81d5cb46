//! Lists of messages.

use parlance_domain::{ConversationId, MessageId, Owner, Timestamp};

/// Range of a conversation's sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageRange {
    /// Only messages after this sequence.
    pub above: i64,
    /// Only messages before this sequence.
    pub below: Option<i64>,
    /// Order of the result.
    pub oldest_first: bool,
}

/// A message that may have reached the end of its retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgedMessage {
    /// Owner of the message.
    pub owner: Owner,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// Id of the message.
    pub id: MessageId,
    /// When it was created.
    pub created_at: Timestamp,
}
