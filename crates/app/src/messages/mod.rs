//! Messages: send, receive, read, list, edit, report, delete.

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

pub use delete::DeleteMessage;
pub use edit::MessageEdit;
pub use get::{MessageBatch, MessageRef};
pub use list::ListMessages;
pub use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};
pub use parlance_storage::db::search::SearchFilter;
pub use preview::Preview;
pub use receive::ReceiveMessage;
pub use report::StatusReport;
pub use search::{SearchMessages, SearchResult};
pub use send::SendMessage;

pub(crate) use compose::{PIECE, further_recipients, segments};
pub(crate) use conversation_target::{conversation_not_found, external_id_taken};
pub(crate) use delete::{in_flight, is_idle};
pub(crate) use get::message_not_found;

use bytes::Bytes;
use parlance_domain::{Address, AttachmentId, Channel, ConversationId, Json, Role};

/// Where a message belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationTarget {
    /// Into a conversation that exists.
    Conversation(ConversationId),
    /// Into the open conversation of two addresses, which is opened if there is none.
    Pair {
        /// `Sms`, `Mms` or `Email`.
        channel: Channel,
        /// Our address.
        ours: Address,
        /// Their address.
        theirs: Address,
        /// The user of a conversation that is opened.
        user: String,
    },
    /// Into the chat of this name, which is opened if there is none; without a name into a new one.
    Chat {
        /// The owner's own name for the conversation.
        external_id: Option<String>,
        /// The user of a conversation that is opened.
        user: String,
    },
}

/// Where an attachment's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttachmentSource {
    /// Not with us.
    Url(String),
    /// In the request.
    Content(Bytes),
    /// In an upload; `filename` and `content_type` of the request replace the upload's where they are not empty.
    Upload(AttachmentId),
}

/// An attachment of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAttachment {
    /// The name that a person sees; may be empty.
    pub filename: String,
    /// The MIME type; may be empty for an upload.
    pub content_type: String,
    /// Where its content is.
    pub source: AttachmentSource,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Where it belongs.
    pub target: ConversationTarget,
    /// Who speaks; chat only.
    pub role: Option<Role>,
    /// Further recipients in canonical form; mail only.
    pub cc_addresses: Vec<String>,
    /// The subject; mail only.
    pub subject: String,
    /// The text.
    pub body: String,
    /// The HTML text; mail only.
    pub html_body: String,
    /// What travels with it.
    pub attachments: Vec<NewAttachment>,
    /// Tokens that its making used.
    pub tokens_used: Option<i64>,
    /// How long its making took.
    pub latency_ms: Option<i64>,
    /// The owner's own data.
    pub metadata: Json,
}
