//! Messages that are written back in batches.

use parlance_domain::Message;

/// A message that is locked.
#[derive(Debug, Clone, PartialEq)]
pub struct LockedMessage {
    /// The message.
    pub message: Message,
    /// The user of its conversation.
    pub user: String,
}
