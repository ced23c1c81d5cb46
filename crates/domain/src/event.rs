//! Events of the change feed: one per change, in an order that is the same for every reader.

use crate::{Conversation, ConversationId, EventType, Message, MessageId, Timestamp};

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
