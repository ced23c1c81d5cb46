//! A message and the rules by which it changes.

mod content;
mod progress;
mod report;
mod status;

pub use content::{AttachmentView, ContentView, Limits};
pub use progress::{Fault, Progress, ProgressEvent};
pub use report::{Report, ReportStatus, ReportedError};
pub use status::MessageStatus;

use crate::text_enum::text_enum;
use crate::{
    Attachment, Channel, ConversationId, Direction, Json, MessageId, Owner, Role, Timestamp,
};

text_enum! {
    /// What to do when a hand-over's answer was lost.
    pub enum DeliveryPolicy {
        /// Hand over again: never lost, at most doubled.
        AtLeastOnce = "at_least_once",
        /// Leave it uncertain: never doubled, perhaps lost.
        AtMostOnce = "at_most_once",
    }
}

/// A message as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Whose it is.
    pub owner: Owner,
    /// The conversation that holds it.
    pub conversation_id: ConversationId,
    /// Its place there: 1, 2, 3, ... in the order of commit.
    pub sequence: i64,
    /// How it travels.
    pub channel: Channel,
    /// Which way.
    pub direction: Direction,
    /// Who speaks; chat only.
    pub role: Option<Role>,
    /// Where it came from, in canonical form; empty for chat.
    pub from_address: String,
    /// Where it goes, in canonical form; empty for chat.
    pub to_address: String,
    /// Further recipients; mail only.
    pub cc_addresses: Vec<String>,
    /// The subject; mail only, may be empty.
    pub subject: String,
    /// The text; may be empty where there is an HTML body or an attachment.
    pub body: String,
    /// The HTML text; mail only, may be empty.
    pub html_body: String,
    /// What travels with it.
    pub attachments: Vec<Attachment>,
    /// The provider that carries or carried it.
    pub provider: Option<String>,
    /// The provider's id of it.
    pub provider_message_id: Option<String>,
    /// How far it has come.
    pub progress: Progress,
    /// SMS segments; 0 where that has no meaning.
    pub segments: i32,
    /// Tokens that its making used, as its sender told us.
    pub tokens_used: Option<i64>,
    /// How long its making took, as its sender told us.
    pub latency_ms: Option<i64>,
    /// The owner's own data.
    pub metadata: Json,
    /// What to do when a hand-over's answer was lost.
    pub policy: DeliveryPolicy,
    /// Whether it counts as unread until the read cursor passes it.
    pub counts_unread: bool,
    /// When it is to be sent, if not at once.
    pub send_at: Option<Timestamp>,
    /// After which it is not sent any more.
    pub expires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Counts every change of the row.
    pub version: i64,
    /// Counts the changes of what an update can set; what its etag shows.
    pub edit_version: i64,
}
