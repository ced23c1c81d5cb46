//! Lists of conversations.

use parlance_domain::{Channel, Conversation, ConversationId, ConversationStatus, Timestamp};

/// Filter of a list of conversations; `None` matches any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// User of the conversation. Conversations without a user cannot be selected.
    pub user: Option<String>,
    /// Channel.
    pub channel: Option<Channel>,
    /// Status.
    pub status: Option<ConversationStatus>,
    /// Only conversations with unread messages.
    pub unread_only: bool,
    /// Address of either participant, in canonical form.
    pub participant: Option<String>,
}

/// Position of a conversation in a list: when it was last active, and its id.
pub type ListPosition = (Timestamp, ConversationId);

/// Returns the position of a conversation in lists.
pub fn list_position(conversation: &Conversation) -> ListPosition {
    (
        conversation
            .last_message_at
            .unwrap_or(conversation.created_at),
        conversation.id,
    )
}
