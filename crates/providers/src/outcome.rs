//! Answers of a provider.

use std::time::Duration;

use parlance_domain::message::ReportedError;

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
    /// The provider refused the message for now: it certainly does not have it.
    Later {
        /// Minimum wait before the next attempt, if the provider states one.
        after: Option<Duration>,
        /// Reason.
        error: ReportedError,
    },
    /// No answer came, or one that does not say: the provider may have the message or not.
    Lost(ReportedError),
}

/// Answer to a look-up of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUpResult {
    /// The provider has the message.
    Accepted {
        /// The provider's id of the message.
        provider_message_id: String,
    },
    /// The provider does not have the message.
    NotFound,
    /// No answer came, or one that does not say.
    Unknown,
}

/// Answer to a cancellation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelResult {
    /// The message will not be sent.
    Canceled,
    /// The message has been sent, or is being sent.
    TooLate,
    /// No answer came, or one that does not say.
    Unknown,
}
