//! Owners of entities.

use parlance_domain::{ConversationId, Owner};

/// A recently active conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveConversation {
    /// Its owner.
    pub owner: Owner,
    /// The user that it belonged to then; empty for none.
    pub user: String,
    /// The conversation.
    pub conversation: ConversationId,
}
