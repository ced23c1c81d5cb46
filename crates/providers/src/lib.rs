//! Providers: one folder each, and one narrow trait per channel.
//!
//! A provider knows nothing of conversations, databases or retries. It hands over one message and returns the outcome;
//! later status changes are reported through [`Reports`]. It never guesses whether a message without a response was
//! sent: it returns [`Outcome::Lost`].
//!
//! To add a provider: add a folder with its client, implement the traits of its channels, and add one line of wiring.

pub mod simulator;

use std::time::Duration;

use async_trait::async_trait;
use parlance_domain::message::{ReportStatus, ReportedError};
use parlance_domain::{Attachment, MessageId, Owner, Timestamp};

/// Outbound text message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The owner that it belongs to.
    pub owner: Owner,
    /// Message id. Providers that support idempotency keys use it to recognise a repeated hand-over.
    pub message_id: MessageId,
    /// Number of the attempt.
    pub attempt: i32,
    /// Our address.
    pub from: String,
    /// Their address.
    pub to: String,
    /// The text.
    pub body: String,
    /// Attachments; with any, the message is an MMS.
    pub attachments: Vec<Attachment>,
}

/// Outbound mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The owner that it belongs to.
    pub owner: Owner,
    /// Message id.
    pub message_id: MessageId,
    /// Number of the attempt.
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
    /// Attachments.
    pub attachments: Vec<Attachment>,
}

/// Outcome of a hand-over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider accepted the message.
    Accepted {
        /// The provider's id of the message.
        provider_message_id: String,
    },
    /// The provider refused the message for good.
    Refused(ReportedError),
    /// The provider refused the message for now.
    Later {
        /// Minimum wait before the next attempt, if the provider states one.
        after: Option<Duration>,
        /// Reason.
        error: ReportedError,
    },
    /// No response came: the provider may have the message or not.
    Lost(ReportedError),
}

/// Provider of text messages.
#[async_trait]
pub trait TextProvider: Send + Sync + 'static {
    /// Hands over a message.
    async fn send_text(&self, text: Text) -> Outcome;
}

/// Provider of mail.
#[async_trait]
pub trait MailProvider: Send + Sync + 'static {
    /// Hands over a message.
    async fn send_mail(&self, mail: Mail) -> Outcome;
}

/// Later report of a provider about a message that it accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderReport {
    /// The owner of the message.
    pub owner: Owner,
    /// Our message id: the report may come before the provider's id is stored.
    pub message_id: MessageId,
    /// Reported status.
    pub status: ReportStatus,
    /// Error, if any.
    pub error: Option<ReportedError>,
    /// Time of the event.
    pub occurred_at: Timestamp,
}

/// The report was not accepted; the provider must report it again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryReport;

/// Receiver of provider reports.
#[async_trait]
pub trait Reports: Send + Sync + 'static {
    /// Accepts a report, or returns an error if it must be repeated.
    async fn report(&self, report: ProviderReport) -> Result<(), RetryReport>;
}

/// Clock of the providers.
pub type Now = std::sync::Arc<dyn Fn() -> Timestamp + Send + Sync>;
