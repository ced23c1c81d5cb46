//! Delivery events of messages: every attempt, report and refusal.

use parlance_domain::{MessageStatus, Timestamp};

/// Kind of a delivery event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEventKind {
    /// A hand-over, or an attempt at one.
    Attempt,
    /// A report about the status, by the provider or in its name.
    Report,
    /// The message was canceled.
    Canceled,
    /// The message expired.
    Expired,
}

impl DeliveryEventKind {
    /// The name in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Report => "report",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Attempt, Self::Report, Self::Canceled, Self::Expired]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A delivery event of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryEvent {
    /// When we recorded it.
    pub time: Timestamp,
    /// Its kind.
    pub kind: DeliveryEventKind,
    /// Number of the hand-over.
    pub attempt: Option<i32>,
    /// The provider.
    pub provider: Option<String>,
    /// When it happened, according to the provider.
    pub provider_time: Option<Timestamp>,
    /// Status of the message afterwards, or the reported one.
    pub status: Option<MessageStatus>,
    /// Explanation; may be empty.
    pub detail: String,
}
