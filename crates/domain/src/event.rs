//! Events of the change feed: one per change, in an order that is the same for every reader.

use crate::text_enum::text_enum;
use crate::{Conversation, ConversationId, Message, MessageId, Timestamp};

text_enum! {
    /// Kind of change.
    pub enum EventType {
        /// A conversation was created.
        ConversationCreated = "conversation_created",
        /// A conversation changed, other than by a new message.
        ConversationUpdated = "conversation_updated",
        /// A conversation and its messages were deleted.
        ConversationDeleted = "conversation_deleted",
        /// A message was sent or received.
        MessageCreated = "message_created",
        /// Content or schedule of a message was edited.
        MessageUpdated = "message_updated",
        /// The delivery status of a message changed.
        MessageStatusChanged = "message_status_changed",
        /// A message was deleted.
        MessageDeleted = "message_deleted",
    }
}

/// Subject of an event, as it was at that time; `Gone` after its deletion.
#[derive(Debug, Clone, PartialEq)]
pub enum EventSubject {
    /// A conversation.
    Conversation(Box<Conversation>),
    /// A message.
    Message(Box<Message>),
    /// Deleted, by this event or by a later one.
    Gone,
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Kind of change.
    pub kind: EventType,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The message, if the change concerns one.
    pub message_id: Option<MessageId>,
    /// The user of the conversation at that time.
    pub user: String,
    /// The conversation or message.
    pub subject: EventSubject,
    /// Time of the change.
    pub time: Timestamp,
}
