//! Those who carry messages: one folder each, one narrow trait per channel.
//!
//! A provider knows nothing of conversations, databases or retries. It hands one message over and says what came of it; what
//! it learns later it tells through [`Reports`]. Whether an answer that was lost means "sent" or "not sent" is not its to
//! guess: it says [`Outcome::Lost`].
//!
//! To add a provider: a folder with its client, the traits of the channels that it carries, and one line of wiring.

pub mod simulator;

use std::time::Duration;

use async_trait::async_trait;
use parlance_domain::message::{ReportStatus, ReportedError};
use parlance_domain::{Attachment, MessageId, Owner, Timestamp};

/// A text message on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Whose it is.
    pub owner: Owner,
    /// Its id: what makes handing it over twice one message, with a provider that takes such a key.
    pub message_id: MessageId,
    /// Which hand-over this is.
    pub attempt: i32,
    /// Our address.
    pub from: String,
    /// Their address.
    pub to: String,
    /// The text.
    pub body: String,
    /// What makes it an MMS.
    pub attachments: Vec<Attachment>,
}

/// A mail on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Whose it is.
    pub owner: Owner,
    /// Its id.
    pub message_id: MessageId,
    /// Which hand-over this is.
    pub attempt: i32,
    /// Our address.
    pub from: String,
    /// Their address.
    pub to: String,
    /// Further recipients.
    pub cc: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub body: String,
    /// The HTML text; may be empty.
    pub html_body: String,
    /// What travels with it.
    pub attachments: Vec<Attachment>,
}

/// What came of a hand-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider has it.
    Accepted {
        /// Its id of the message.
        provider_message_id: String,
    },
    /// It will never take it.
    Refused(ReportedError),
    /// It did not take it now.
    Later {
        /// Not before this, if it said so.
        after: Option<Duration>,
        /// Why.
        error: ReportedError,
    },
    /// It may have it or not: the answer did not come.
    Lost(ReportedError),
}

/// Who carries text messages.
#[async_trait]
pub trait TextProvider: Send + Sync + 'static {
    /// Hands one over.
    async fn send_text(&self, text: Text) -> Outcome;
}

/// Who carries mail.
#[async_trait]
pub trait MailProvider: Send + Sync + 'static {
    /// Hands one over.
    async fn send_mail(&self, mail: Mail) -> Outcome;
}

/// What a provider tells later about a message that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderReport {
    /// Whose message.
    pub owner: Owner,
    /// Ours of it: the report may come before we have written down theirs.
    pub message_id: MessageId,
    /// How far it has come.
    pub status: ReportStatus,
    /// What went wrong.
    pub error: Option<ReportedError>,
    /// When.
    pub occurred_at: Timestamp,
}

/// A report was not taken: tell it again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryReport;

/// Who hears what providers tell.
#[async_trait]
pub trait Reports: Send + Sync + 'static {
    /// Takes a report, or asks to be told again.
    async fn report(&self, report: ProviderReport) -> Result<(), RetryReport>;
}

/// What time it is, for providers that say when something happened.
pub type Now = std::sync::Arc<dyn Fn() -> Timestamp + Send + Sync>;
