//! What providers say by themselves: status reports and inbound messages.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use bytes::Bytes;
use parlance_domain::message::{ReportStatus, ReportedError};
use parlance_domain::{Channel, MessageId, Owner, Timestamp};

use crate::AttemptId;

/// Receiver of status reports and inbound messages. Both may be repeated: the result is that of one.
#[async_trait]
pub trait ProviderEvents: Send + Sync + 'static {
    /// Accepts a report, or returns an error if it must be repeated.
    async fn report(&self, report: ProviderReport) -> Result<(), RetryReport>;

    /// Accepts an inbound message.
    async fn inbound(&self, message: InboundMessage) -> Result<(), InboundError>;
}

/// Report of a provider about a message that was handed over to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderReport {
    /// The reporting provider. A report about another provider's message has no effect.
    pub provider: &'static str,
    /// The owner of the message; looked up if the provider does not know it.
    pub owner: Option<Owner>,
    /// The message.
    pub message: ReportedMessage,
    /// The provider's id of the message, if the report has it. It is stored if the answer to the hand-over was lost.
    pub provider_message_id: Option<String>,
    /// Reported status.
    pub status: ReportStatus,
    /// Error, if any.
    pub error: Option<ReportedError>,
    /// Time of the event. A report by an unknown provider's id is dropped once this time is long past, so it should be the
    /// same in each repetition.
    pub occurred_at: Timestamp,
}

/// How a report names its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportedMessage {
    /// An attempt, by the id of its hand-over. The report may come before the outcome of the hand-over is stored.
    Attempt(AttemptId),
    /// The message whatever the attempt, for a provider that recognises a repeated hand-over.
    Message(MessageId),
    /// The provider's id. Not known before the outcome of the hand-over is stored, so prefer the attempt.
    ProviderId {
        /// Channel of the sender.
        channel: Channel,
        /// Our address that the message was sent from; it determines the owner.
        sender: String,
        /// The provider's id of the message.
        provider_message_id: String,
    },
}

/// The report was not accepted; the provider must report it again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryReport;

/// Message that arrived at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundMessage {
    /// The provider. It must be the one of the sender that has the address.
    pub provider: &'static str,
    /// Names of the credentials that the request was verified with: a sender with other credentials does not get the
    /// message. `None` for a provider without credentials.
    pub credentials: Option<Vec<String>>,
    /// The provider's id of the message: a message that is delivered twice is stored once.
    pub provider_message_id: String,
    /// `Sms`, `Mms` or `Email`.
    pub channel: Channel,
    /// Their address.
    pub from: String,
    /// Our address; it determines the owner.
    pub to: String,
    /// Further recipients; mail only.
    pub cc: Vec<String>,
    /// The subject; mail only.
    pub subject: String,
    /// The plain text.
    pub body: String,
    /// The HTML text; mail only.
    pub html_body: String,
    /// Attachments.
    pub attachments: Vec<InboundAttachment>,
    /// What the provider itself has done about a consent keyword in the message.
    pub opt_out_type: Option<OptOutType>,
    /// When it arrived at the provider; now if `None`.
    pub received_at: Option<Timestamp>,
}

/// Consent keyword that the provider recognised and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptOutType {
    /// The provider has blocked the recipient.
    Stop,
    /// The provider has lifted its block.
    Start,
    /// The provider has sent its help text.
    Help,
}

impl OptOutType {
    /// Parses the provider's word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "STOP" => Some(Self::Stop),
            "START" => Some(Self::Start),
            "HELP" => Some(Self::Help),
            _ => None,
        }
    }

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Start => "START",
            Self::Help => "HELP",
        }
    }
}

/// Attachment of an inbound message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundAttachment {
    /// File name; may be empty.
    pub filename: String,
    /// The MIME type; may be empty.
    pub content_type: String,
    /// The content.
    pub content: InboundContent,
}

/// Content of an attachment of an inbound message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboundContent {
    /// Location at the provider.
    Url(String),
    /// The content itself.
    Bytes(Bytes),
}

/// An inbound message was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InboundError {
    /// No sender of this provider has the address.
    #[error("no sender of this provider has the address; create one with CreateSender")]
    UnknownAddress,
    /// The message can never be accepted.
    #[error("{0}")]
    Invalid(String),
    /// The provider must deliver it again later.
    #[error("try again later")]
    RetryLater,
}

/// Receiver that is connected after the providers were created: the application needs them first. Until then, and after
/// the application has ended, everything must be repeated later.
#[derive(Default)]
pub struct EventRelay(OnceLock<Weak<dyn ProviderEvents>>);

impl EventRelay {
    /// Connects the receiver. It is not kept alive, since it keeps the providers alive.
    pub fn connect<T: ProviderEvents>(&self, events: &Arc<T>) {
        let events = Arc::downgrade(events);
        // A second receiver is ignored: there is one application.
        let _ = self.0.set(events);
    }

    fn receiver(&self) -> Option<Arc<dyn ProviderEvents>> {
        self.0.get()?.upgrade()
    }
}

impl fmt::Debug for EventRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRelay").finish_non_exhaustive()
    }
}

#[async_trait]
impl ProviderEvents for EventRelay {
    async fn report(&self, report: ProviderReport) -> Result<(), RetryReport> {
        match self.receiver() {
            Some(receiver) => receiver.report(report).await,
            None => Err(RetryReport),
        }
    }

    async fn inbound(&self, message: InboundMessage) -> Result<(), InboundError> {
        match self.receiver() {
            Some(receiver) => receiver.inbound(message).await,
            None => Err(InboundError::RetryLater),
        }
    }
}
