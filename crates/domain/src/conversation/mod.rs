//! A conversation: an ordered sequence of messages between two sides.

mod status;

pub use status::{ConversationEvent, ConversationStatus};

use crate::{Channel, ConversationId, Json, Owner, Timestamp};

/// A conversation as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Id.
    pub id: ConversationId,
    /// The owner that it belongs to.
    pub owner: Owner,
    /// The owner's user (a customer or an agent) that it belongs to; free text, may be empty.
    pub user: String,
    /// `Sms`, `Email` or `Chat`.
    pub channel: Channel,
    /// Our address in canonical form; empty for chat.
    pub participant_from: String,
    /// Their address in canonical form; empty for chat.
    pub participant_to: String,
    /// A title; may be empty.
    pub title: String,
    /// State.
    pub status: ConversationStatus,
    /// The owner's own identifier for it, unique per owner.
    pub external_id: Option<String>,
    /// Sequence of the newest message that it ever had; 0 before the first.
    pub last_sequence: i64,
    /// Read cursor: messages up to this sequence are read.
    pub read_sequence: i64,
    /// Number of messages that it has now.
    pub message_count: i64,
    /// Number of unread messages.
    pub unread_count: i64,
    /// When its newest message was created.
    pub last_message_at: Option<Timestamp>,
    /// Metadata of the owner.
    pub metadata: Json,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// Incremented by every change of the row.
    pub version: i64,
    /// Incremented by changes of updatable fields only; the etag is derived from it.
    pub edit_version: i64,
}
