//! Sending.

use parlance_domain::{DeliveryPolicy, Message, Owner, Timestamp};

use super::NewMessage;
use crate::{App, Replayable, RequestId, Result};

/// What `send_message` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendMessage {
    /// Makes a retry safe.
    pub request_id: Option<RequestId>,
    /// What it says and where it belongs.
    pub message: NewMessage,
    /// When to send it; at once without it, or if it has passed.
    pub send_at: Option<Timestamp>,
    /// After which not to send it any more.
    pub expires_at: Option<Timestamp>,
    /// What to do when a hand-over's answer was lost.
    pub policy: DeliveryPolicy,
}
