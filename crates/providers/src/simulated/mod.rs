//! What a simulated provider has instead of recipients.

mod script;
mod webhook;

use std::time::Duration;

use parlance_domain::{MessageId, Owner, Timestamp};

pub use script::{Fault, FaultKind, Script};
pub use webhook::{WebhookQuery, WebhookRecord, WebhookState};

/// Network inside the process, which keeps the messages that it has accepted.
pub trait SimulatedNetwork: Send + Sync + 'static {
    /// Returns the accepted messages that match, newest first.
    fn sent(&self, query: &SentQuery) -> Vec<SentMessage>;

    /// Replaces the script of faults of an owner.
    fn set_script(&self, owner: &Owner, script: Script) -> Result<(), NetworkError>;

    /// Advances the clock of an owner and returns its new time. What is due by then happens at once.
    fn advance_clock(&self, owner: &Owner, by: Duration) -> Result<Timestamp, NetworkError>;

    /// Returns the webhooks that match, newest first.
    fn webhooks(&self, query: &WebhookQuery) -> Vec<WebhookRecord>;

    /// Sends a webhook once more.
    fn replay_webhook(&self, owner: &Owner, id: &str) -> Result<WebhookRecord, NetworkError>;
}

/// Error of a simulated network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No such webhook, or it is older than what is kept.
    #[error("no webhook has this id; ListWebhooks returns those that are kept")]
    UnknownWebhook,
    /// A limit of the memory that it may use is reached.
    #[error("the simulator keeps state for too many owners; clear a script with an empty one")]
    TooManyOwners,
    /// Too many webhooks of one message wait.
    #[error("too many webhooks of this message wait; try again when some have been sent")]
    TooManyWaiting,
    /// The clock is at the end of its range.
    #[error("the clock cannot be advanced that far")]
    ClockOverflow,
}

/// A message as the simulated network received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// The owner that it belongs to.
    pub owner: Owner,
    /// Message id; `None` on a network outside of the process, which knows only its own id.
    pub message_id: Option<MessageId>,
    /// The provider's id of the message.
    pub provider_message_id: String,
    /// Our address.
    pub from: String,
    /// The recipient.
    pub to: String,
    /// Subject; mail only.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// Number of attachments.
    pub attachments: usize,
    /// Time of the first hand-over.
    pub accepted_at: Timestamp,
    /// Number of hand-overs; it is delivered once in any case.
    pub times_accepted: u32,
}

/// Query for accepted messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentQuery {
    /// The owner.
    pub owner: Owner,
    /// The recipient; any if `None`.
    pub to: Option<String>,
    /// Maximum number of results.
    pub limit: usize,
}
