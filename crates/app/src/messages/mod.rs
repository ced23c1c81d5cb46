//! Messages: send, receive, read, list, edit, report, delete.

mod attempt_events;
mod compose;
mod conversation_target;
mod delete;
mod edit;
mod get;
mod list;
mod message_events;
mod preview;
mod receive;
mod report;
mod search;
mod send;

pub use crate::query_results::SearchResult;
pub use delete::DeleteMessage;
pub use edit::MessageEdit;
pub use get::{MessageBatch, MessageRef};
pub use list::ListMessages;
pub use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};
pub use parlance_storage::db::search::SearchFilter;
pub use preview::Preview;
pub use receive::ReceiveMessage;
pub use report::StatusReport;
pub use search::SearchMessages;
pub use send::SendMessage;

pub(crate) use attempt_events::{
    SETTLED_BY_REPORT, record_lost_attempts, record_superseded_attempts,
};
pub(crate) use compose::{CHUNK, content_violations};
pub(crate) use conversation_target::{conversation_not_found, external_id_taken};
pub(crate) use delete::{in_flight, is_idle};
pub(crate) use get::message_not_found;
pub(crate) use report::ReportOrigin;

use bytes::Bytes;
use parlance_domain::message::Content;
use parlance_domain::{Address, AttachmentId, Channel, ConversationId};

/// Conversation that a new message belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationTarget {
    /// An existing conversation.
    Conversation(ConversationId),
    /// The open conversation of two addresses; created if there is none.
    Pair {
        /// `Sms`, `Mms` or `Email`.
        channel: Channel,
        /// Our address.
        ours: Address,
        /// Their address.
        theirs: Address,
        /// The user of a newly created conversation.
        user: String,
    },
    /// The chat with this external id, created if there is none; a new chat without one.
    Chat {
        /// The owner's external id of the conversation.
        external_id: Option<String>,
        /// The user of a newly created conversation.
        user: String,
    },
}

/// Source of an attachment's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachmentSource {
    /// A URL; the content is not stored here.
    Url(String),
    /// The request itself.
    Content(Bytes),
    /// An upload; non-empty `filename` and `content_type` of the request replace those of the upload.
    Upload(AttachmentId),
}

/// An attachment of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttachment {
    /// The displayed name; may be empty.
    pub filename: String,
    /// The MIME type; may be empty for an upload.
    pub content_type: String,
    /// Source of the content.
    pub source: AttachmentSource,
}

/// Target and content of a new message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// The conversation that it belongs to.
    pub target: ConversationTarget,
    /// The content; its further recipients are in canonical form.
    pub content: Content,
    /// The attachments.
    pub attachments: Vec<NewAttachment>,
}
