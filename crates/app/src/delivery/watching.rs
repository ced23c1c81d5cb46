//! What the operator sees of deliveries.

use std::time::Duration;

use parlance_domain::Channel;

/// What came of a hand-over, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    /// The provider has it.
    Accepted,
    /// It will never take it.
    Refused,
    /// It did not take it now.
    Later,
    /// The answer did not come.
    Lost,
    /// Its time had passed.
    Expired,
    /// The worker had lost its lease: somebody else answers for the message.
    Superseded,
}

impl AttemptResult {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Later => "later",
            Self::Lost => "lost",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }
}

/// Who counts.
pub trait DeliveryObserver: Send + Sync + 'static {
    /// A message reached the hands that call its provider, this long after it became due.
    fn handed_over(&self, channel: Channel, waited: Duration);
    /// An attempt ended.
    fn attempted(&self, channel: Channel, result: AttemptResult);
}

/// Nobody counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl DeliveryObserver for Unobserved {
    fn handed_over(&self, _channel: Channel, _waited: Duration) {}
    fn attempted(&self, _channel: Channel, _result: AttemptResult) {}
}
