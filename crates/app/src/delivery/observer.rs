//! What the operator sees of deliveries.

use std::time::Duration;

use parlance_domain::Channel;
use parlance_storage::db::delivery::QueueDepth;

use crate::App;
use crate::error::Result;

/// The status of messages that wait for a release.
const HELD: &str = "held";

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

/// Messages that wait, together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    /// On which channel.
    pub channel: Channel,
    /// `scheduled`, `waiting` or `claimed`; `held`, whichever of these it would be, until it is released.
    pub status: String,
    /// How many.
    pub depth: i64,
    /// How long the oldest has been due.
    pub age: Duration,
}

impl App {
    /// What waits now, by channel and status; nought where something may wait and nothing does, so that no old figure stays.
    pub async fn queue_status(&self) -> Result<Vec<QueueStatus>> {
        let now = self.now();
        let found = self.db.queue_depths().await?;
        let mut queues = Vec::new();
        for channel in [Channel::Sms, Channel::Mms, Channel::Email] {
            for status in ["scheduled", "waiting", "claimed", HELD] {
                let of_status = |queue: &&QueueDepth| {
                    let found = if queue.held {
                        HELD
                    } else {
                        queue.state.as_str()
                    };
                    queue.channel == channel && found == status
                };
                let queues_of = || found.iter().filter(of_status);
                queues.push(QueueStatus {
                    channel,
                    status: status.to_owned(),
                    depth: queues_of().map(|queue| queue.depth).sum(),
                    age: queues_of()
                        .filter_map(|queue| queue.oldest_due)
                        .min()
                        .map_or(Duration::ZERO, |due| now.since(due)),
                });
            }
        }
        Ok(queues)
    }
}
