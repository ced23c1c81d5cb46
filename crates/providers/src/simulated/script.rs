//! Script of faults: what goes wrong on a simulated network, how often, and for which recipient.

use std::time::Duration;

/// Kind of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// A webhook is sent twice.
    Duplicate,
    /// A webhook is held back until the next one of its message has been sent.
    Reorder,
    /// A webhook is not sent. It can be sent with a replay.
    Drop,
    /// A webhook is sent later.
    Delay,
    /// A message is accepted, and the response does not arrive.
    AcceptThenTimeout,
    /// A message is refused for now: too many requests.
    TooManyRequests,
    /// A message is not accepted: error of the provider's server.
    ServerError,
    /// A message is not accepted, and no response arrives.
    Hang,
    /// A message is refused: the recipient has opted out.
    OptedOut,
}

impl FaultKind {
    /// Whether it concerns a message that is handed over; otherwise it concerns a webhook.
    #[must_use]
    pub const fn concerns_hand_over(self) -> bool {
        match self {
            Self::AcceptThenTimeout
            | Self::TooManyRequests
            | Self::ServerError
            | Self::Hang
            | Self::OptedOut => true,
            Self::Duplicate | Self::Reorder | Self::Drop | Self::Delay => false,
        }
    }
}

/// One line of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// How likely it is, above 0 and up to 1.
    pub probability: f64,
    /// How often it happens at most; `None` without a limit.
    pub count: Option<u32>,
    /// How long it takes; each kind has a default.
    pub delay: Option<Duration>,
    /// The customer's address that it is limited to.
    pub recipient: Option<String>,
}

/// Script of faults. The same seed and the same sequence of messages give the same faults.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Script {
    /// Seed of the probabilities.
    pub seed: u64,
    /// The faults. A hand-over gets the first one that hits; a webhook gets every one that hits.
    pub faults: Vec<Fault>,
}

impl Script {
    /// Maximum number of faults.
    pub const MAX_FAULTS: usize = 100;
}
