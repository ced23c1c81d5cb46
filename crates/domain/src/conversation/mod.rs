//! A conversation: an ordered sequence of messages between two sides.

mod status;

pub use status::{ConversationEvent, ConversationStatus};

use crate::{Channel, ConversationId, Json, Owner, Timestamp};

/// A conversation as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Whose it is.
    pub owner: Owner,
    /// The owner's own customer or agent whom it belongs to; free text, may be empty.
    pub user: String,
    /// `Sms`, `Email` or `Chat`.
    pub channel: Channel,
    /// Our address in canonical form; empty for chat.
    pub participant_from: String,
    /// Their address in canonical form; empty for chat.
    pub participant_to: String,
    /// A title; may be empty.
    pub title: String,
    /// Its state.
    pub status: ConversationStatus,
    /// The owner's own name for it, unique per owner.
    pub external_id: Option<String>,
    /// The sequence of the newest message ever; 0 before the first.
    pub last_sequence: i64,
    /// Everything up to this sequence has been read.
    pub read_sequence: i64,
    /// How many messages it has now.
    pub message_count: i64,
    /// How many of them are unread.
    pub unread_count: i64,
    /// When its newest message came.
    pub last_message_at: Option<Timestamp>,
    /// The owner's own data.
    pub metadata: Json,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Counts every change of the row.
    pub version: i64,
    /// Counts the changes of what an update can set; what its etag shows.
    pub edit_version: i64,
}
