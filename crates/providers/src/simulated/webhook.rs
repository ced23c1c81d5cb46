//! Webhooks of a simulated network, as it lists them.

use parlance_domain::{Owner, Timestamp};

/// State of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookState {
    /// It waits for its time, or for an earlier webhook of its message.
    Waiting,
    /// It is being sent.
    Sending,
    /// It was accepted.
    Delivered,
    /// It was refused or could not be sent, and is not repeated.
    Failed,
    /// A fault of the script dropped it.
    Dropped,
}

/// Webhook that a simulated network has sent or will send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    /// Its id.
    pub id: String,
    /// Id of its message at the simulated network.
    pub provider_message_id: String,
    /// The URL; empty inside the process, where reports are passed on without HTTP.
    pub url: String,
    /// The form parameters, in the order in which they are sent.
    pub parameters: Vec<(String, String)>,
    /// State.
    pub state: WebhookState,
    /// Number of times that it was sent.
    pub attempts: u32,
    /// Result of the last attempt; empty before it.
    pub result: String,
    /// Time of the event that it reports.
    pub occurred_at: Timestamp,
}

/// Query for webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookQuery {
    /// The owner.
    pub owner: Owner,
    /// Id of the message at the simulated network; any if `None`.
    pub provider_message_id: Option<String>,
    /// Maximum number of results.
    pub limit: usize,
}
