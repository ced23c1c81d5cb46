//! Kinds of the changes that the feed reports.

use crate::text_enum::text_enum;

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
