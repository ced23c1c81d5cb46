//! An address of ours that messages leave from and arrive at.

use std::time::Duration;

use crate::text_enum::text_enum;
use crate::{Channel, Owner, SenderId, Timestamp};

text_enum! {
    /// Whether messages leave from a sender.
    pub enum SenderStatus {
        /// They do.
        Active = "active",
        /// They wait.
        Paused = "paused",
    }
}

/// An address of ours. Unique in an installation: it is how something that arrives finds its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Its id.
    pub id: SenderId,
    /// Whose it is.
    pub owner: Owner,
    /// `Sms` (for SMS and MMS) or `Email`.
    pub channel: Channel,
    /// The address in canonical form.
    pub address: String,
    /// The provider that carries its messages.
    pub provider: String,
    /// The name of the credentials in the configuration; never the secret; may be empty.
    pub credentials: String,
    /// Whether messages leave.
    pub status: SenderStatus,
    /// How many SMS segments may leave per second; 0 is the provider's own limit.
    pub segments_per_second: i32,
    /// How long an outbound message may wait before it expires, where it does not say itself.
    pub default_expiry: Option<Duration>,
    /// The domain of reply addresses; mail only; may be empty.
    pub reply_domain: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Counts every change; also what its etag shows.
    pub version: i64,
}
