//! Import of existing conversations with their messages.
//!
//! Imported data is identified by the conversation's `external_id` and by the position of a message among the
//! imported messages of that conversation, from 1 on. The number of imported positions is stored per conversation. So
//! a repeated import adds only what is missing: after a crash, or concurrently with another import of the same data.
//! Messages that were sent or deleted in the meantime do not affect this. A conversation that was not created by an
//! import is not added to: it is skipped if it has all imported messages, and refused otherwise.

mod batch;
mod group;
mod stream;
mod write;

use parlance_domain::message::{Content, Progress};
use parlance_domain::{
    Address, Attachment, Channel, ConversationStatus, Direction, Json, Timestamp,
};

use crate::error::Error;

pub use stream::ImportError;

/// Part of an imported conversation, as received.
#[derive(Debug)]
pub struct IncomingPart {
    /// The conversation's external id; empty if it is invalid.
    pub external_id: String,
    /// Number of messages.
    pub messages: usize,
    /// Size in bytes.
    pub bytes: usize,
    /// The part, or why it is invalid.
    pub part: Result<OldPart, Error>,
}

/// Part of an imported conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldPart {
    /// The conversation.
    pub conversation: OldConversation,
    /// How many of its messages precede these. `None`: continues after the previous part of the same conversation, or
    /// starts at 0 if that was of another one.
    pub offset: Option<i64>,
    /// Some of its messages, in order.
    pub messages: Vec<OldMessage>,
}

/// Imported conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldConversation {
    /// The owner's external id.
    pub external_id: String,
    /// `Sms`, `Email` or `Chat`.
    pub channel: Channel,
    /// Our address and theirs; none for chat.
    pub addresses: Option<(Address, Address)>,
    /// The user that it belongs to.
    pub user: String,
    /// A title.
    pub title: String,
    /// The status.
    pub status: ConversationStatus,
    /// Metadata of the owner.
    pub metadata: Json,
    /// Creation time; without it that of the first message.
    pub created_at: Option<Timestamp>,
}

/// Imported message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldMessage {
    /// The channel.
    pub channel: Channel,
    /// The direction.
    pub direction: Direction,
    /// The content; its further recipients are in canonical form.
    pub content: Content,
    /// Attachments stored elsewhere. They get new ids.
    pub attachments: Vec<OldAttachment>,
    /// The provider that carried it, and the provider's id.
    pub carried: Option<(String, String)>,
    /// Delivery progress: a final state.
    pub progress: Progress,
    /// Creation time; without it that of the previous message.
    pub created_at: Option<Timestamp>,
}

/// Attachment with content that is stored elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldAttachment {
    /// File name.
    pub filename: String,
    /// MIME type.
    pub content_type: String,
    /// Size in bytes; 0 if unknown.
    pub size_bytes: i64,
    /// URL of the content.
    pub url: String,
}

/// Result of an import.
#[derive(Debug, Default)]
pub struct Imported {
    /// Conversations created.
    pub conversations: i64,
    /// Messages added.
    pub messages: i64,
    /// Messages that existed already.
    pub skipped: i64,
    /// The first refused parts.
    pub errors: Vec<RefusedPart>,
    /// Number of refused parts.
    pub refused: i64,
}

/// Refused part.
#[derive(Debug)]
pub struct RefusedPart {
    /// Index in the stream, from 0 on.
    pub index: i64,
    /// The conversation's external id.
    pub external_id: String,
    /// Why it was refused.
    pub error: Error,
}

/// Maximum number of refused parts that are listed.
const MAX_ERRORS: usize = 1_000;

impl Imported {
    fn refuse(&mut self, refused: RefusedPart) {
        self.refused += 1;
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(refused);
        }
    }

    /// Adds the result of one write.
    fn add(&mut self, written: Self) {
        self.conversations += written.conversations;
        self.messages += written.messages;
        self.skipped += written.skipped;
        for refused in written.errors {
            self.refuse(refused);
        }
    }
}

impl OldAttachment {
    fn attachment(&self, id: parlance_domain::AttachmentId) -> Attachment {
        Attachment {
            id,
            filename: self.filename.clone(),
            content_type: self.content_type.clone(),
            size_bytes: self.size_bytes,
            url: Some(self.url.clone()),
        }
    }
}
