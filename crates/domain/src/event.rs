//! What the change feed tells: one event per change, in an order that every reader sees alike.

use crate::text_enum::text_enum;
use crate::{Conversation, ConversationId, Message, MessageId, Timestamp};

text_enum! {
    /// What happened.
    pub enum EventType {
        /// A conversation was made.
        ConversationCreated = "conversation_created",
        /// A conversation changed otherwise than by a new message.
        ConversationUpdated = "conversation_updated",
        /// A conversation and its messages are gone.
        ConversationDeleted = "conversation_deleted",
        /// A message was sent or received.
        MessageCreated = "message_created",
        /// A message's content or plan was edited.
        MessageUpdated = "message_updated",
        /// A message came further.
        MessageStatusChanged = "message_status_changed",
        /// A message is gone.
        MessageDeleted = "message_deleted",
    }
}

/// What the event is about, as it then was; `Gone` once it was deleted.
#[derive(Debug, Clone, PartialEq)]
pub enum EventSubject {
    /// A conversation.
    Conversation(Box<Conversation>),
    /// A message.
    Message(Box<Message>),
    /// It was deleted, now or later.
    Gone,
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What happened.
    pub kind: EventType,
    /// In which conversation.
    pub conversation_id: ConversationId,
    /// To which message, if to one.
    pub message_id: Option<MessageId>,
    /// The user of the conversation then.
    pub user: String,
    /// What it was about.
    pub subject: EventSubject,
    /// When.
    pub time: Timestamp,
}
