//! Old conversations, brought with their messages as they were.
//!
//! What is there is known by two things: the conversation's `external_id`, and the place of a message among the old messages
//! of it, from 1 on. Of each conversation it is kept how many places are filled. So whoever brings the same again adds only
//! what is missing, after a crash, and beside another who does the same; what was sent meanwhile, or deleted, changes nothing
//! in that. A conversation that no import made is not added to: it is passed over if it has all that is brought, else refused.

mod batch;
mod group;
mod stream;
mod write;

use parlance_domain::message::Progress;
use parlance_domain::{
    Address, Attachment, Channel, ConversationStatus, Direction, Json, Role, Timestamp,
};

use crate::error::Error;

pub use stream::ImportError;

/// A part of an old conversation, as it comes.
#[derive(Debug)]
pub struct IncomingPart {
    /// The old conversation's name; empty where that itself is wrong.
    pub external_id: String,
    /// How many messages it has.
    pub messages: usize,
    /// How large it is.
    pub bytes: usize,
    /// What it says, or what is wrong with it.
    pub part: Result<OldPart, Error>,
}

/// A part of an old conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldPart {
    /// The conversation.
    pub conversation: OldConversation,
    /// How many of its messages come before these. `None`: as many as the part before had brought of the same conversation, or
    /// none if that was of another.
    pub offset: Option<i64>,
    /// Some of its messages, in their order.
    pub messages: Vec<OldMessage>,
}

/// An old conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldConversation {
    /// The owner's own name for it.
    pub external_id: String,
    /// `Sms`, `Email` or `Chat`.
    pub channel: Channel,
    /// Our address and theirs; none for chat.
    pub addresses: Option<(Address, Address)>,
    /// Whose it is.
    pub user: String,
    /// A title.
    pub title: String,
    /// Its state.
    pub status: ConversationStatus,
    /// The owner's own data.
    pub metadata: Json,
    /// When it was made; with its first message, if that is not said.
    pub created_at: Option<Timestamp>,
}

/// An old message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldMessage {
    /// How it travelled.
    pub channel: Channel,
    /// Which way.
    pub direction: Direction,
    /// Who spoke; chat only.
    pub role: Option<Role>,
    /// Further recipients; mail only.
    pub cc_addresses: Vec<String>,
    /// The subject; mail only.
    pub subject: String,
    /// The text.
    pub body: String,
    /// The HTML text; mail only.
    pub html_body: String,
    /// What travelled with it, and is elsewhere. The ids are made anew.
    pub attachments: Vec<OldAttachment>,
    /// The provider that carried it, and its id of it.
    pub carried: Option<(String, String)>,
    /// How far it came: a state in which nothing is to be done.
    pub progress: Progress,
    /// Tokens that its making used.
    pub tokens_used: Option<i64>,
    /// How long its making took.
    pub latency_ms: Option<i64>,
    /// The owner's own data.
    pub metadata: Json,
    /// When it was made; with the message before it, if that is not said.
    pub created_at: Option<Timestamp>,
}

/// A file that is elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldAttachment {
    /// Its name.
    pub filename: String,
    /// Its type.
    pub content_type: String,
    /// How large it is; 0 if that is not known.
    pub size_bytes: i64,
    /// Where.
    pub url: String,
}

/// What an import did.
#[derive(Debug, Default)]
pub struct Imported {
    /// Conversations that it made.
    pub conversations: i64,
    /// Messages that it added.
    pub messages: i64,
    /// Messages that were there already.
    pub skipped: i64,
    /// The first parts that it refused.
    pub errors: Vec<RefusedPart>,
    /// How many it refused.
    pub refused: i64,
}

/// A part that was refused.
#[derive(Debug)]
pub struct RefusedPart {
    /// Its place in the stream, from 0 on.
    pub index: i64,
    /// The old conversation's name.
    pub external_id: String,
    /// What is wrong.
    pub error: Error,
}

/// Refused parts that are told one by one.
const TOLD: usize = 1_000;

impl Imported {
    fn refuse(&mut self, refused: RefusedPart) {
        self.refused += 1;
        if self.errors.len() < TOLD {
            self.errors.push(refused);
        }
    }

    /// With what one write did.
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
