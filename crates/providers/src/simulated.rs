//! What a simulated provider has instead of recipients.

use parlance_domain::{MessageId, Owner, Timestamp};

/// Network inside the process, which keeps the messages that it has accepted.
pub trait SimulatedNetwork: Send + Sync + 'static {
    /// Returns the accepted messages that match, newest first.
    fn sent(&self, query: &SentQuery) -> Vec<SentMessage>;
}

/// A message as the simulated network received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// The owner that it belongs to.
    pub owner: Owner,
    /// Message id.
    pub message_id: MessageId,
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
