//! Senders: addresses of ours that messages are sent from and arrive at.

use std::time::Duration;

use crate::text_enum::text_enum;
use crate::{Channel, Owner, SenderId, Timestamp};

text_enum! {
    /// Whether a sender sends messages.
    pub enum SenderStatus {
        /// Messages are sent.
        Active = "active",
        /// Messages wait.
        Paused = "paused",
    }
}

/// An address of ours. It is unique in an installation, because it determines the owner of an inbound message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Id.
    pub id: SenderId,
    /// The owner that it belongs to.
    pub owner: Owner,
    /// `Sms` (for SMS and MMS) or `Email`.
    pub channel: Channel,
    /// The address in canonical form.
    pub address: String,
    /// Provider that its messages are handed to.
    pub provider: String,
    /// Name of the credentials in the configuration, never the secret; may be empty.
    pub credentials: String,
    /// Whether it sends messages.
    pub status: SenderStatus,
    /// Maximum SMS segments per second; 0 for the provider's own limit.
    pub segments_per_second: i32,
    /// Default time that an outbound message may wait before it expires.
    pub default_expiry: Option<Duration>,
    /// Domain of reply addresses; mail only, may be empty.
    pub reply_domain: String,
    /// Id of the provider's group of numbers that the address belongs to; SMS only, may be empty. Twilio: `MG...`.
    pub messaging_service: String,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// Incremented by every change; the etag is derived from it.
    pub version: i64,
}
