//! Imports of old conversations.

use parlance_domain::{Conversation, Direction, Json, Message, Role, Timestamp};

/// A conversation that exists already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingConversation {
    /// The conversation.
    pub conversation: Conversation,
    /// How many of its first messages were imported; `None` if it was not created by an import.
    pub imported: Option<i64>,
}

/// Old messages of one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The conversation as it was read, locked; `None` for a new one.
    pub found: Option<Conversation>,
    /// The conversation as it is with the messages.
    pub conversation: Conversation,
    /// The messages.
    pub messages: Vec<Message>,
    /// Number of its imported messages, including these.
    pub imported: i64,
}

/// The fields of a message that decide whether an imported one is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparableMessage {
    /// When it was created.
    pub created_at: Timestamp,
    /// Its direction.
    pub direction: Direction,
    /// Role of its author.
    pub role: Option<Role>,
    /// Its text.
    pub body: String,
    /// The owner's own data.
    pub metadata: Json,
}
