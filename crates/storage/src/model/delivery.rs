//! Deliveries of outbound messages.

use std::sync::Arc;

use parlance_domain::{Channel, ConversationId, MessageId, Owner, Sender, Timestamp};

/// A delivery that a worker has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Owner of the message.
    pub owner: Owner,
    /// The message.
    pub message_id: MessageId,
    /// The sender that the message is sent from, as it was when the delivery was claimed.
    pub sender: Arc<Sender>,
    /// Number of this attempt; recorded, so that a later claimer knows that it was begun.
    pub attempt: i32,
    /// Whether the previous attempt was begun and its outcome never written: the message may have been sent.
    pub answer_lost: bool,
    /// When it became due.
    pub due_at: Timestamp,
    /// When its worker loses it.
    pub lease_until: Timestamp,
}

/// Result of a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClaimResult {
    /// Deliveries that are now the claimer's.
    pub claims: Vec<Claim>,
    /// Scheduled messages that are due: they can be claimed once they are in their conversation queue.
    pub due_scheduled: Vec<DueScheduledDelivery>,
}

/// A scheduled message that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueScheduledDelivery {
    /// Owner of the message.
    pub owner: Owner,
    /// Conversation of the queue that it enters.
    pub conversation_id: ConversationId,
    /// The message.
    pub message_id: MessageId,
}

/// Number of waiting deliveries of one channel and state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// Channel.
    pub channel: Channel,
    /// `scheduled`, `waiting` or `claimed`.
    pub state: String,
    /// Whether they are held until a release.
    pub held: bool,
    /// Number of deliveries.
    pub depth: i64,
    /// When the oldest became due, or will.
    pub oldest_due: Option<Timestamp>,
}
