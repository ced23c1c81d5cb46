//! Metrics and queue status of deliveries, for operators.

use std::time::Duration;

use parlance_domain::Channel;
use parlance_storage::db::delivery::QueueDepth;

use crate::App;
use crate::error::Result;

/// The status of messages that wait for a release.
const HELD: &str = "held";

/// Result of an attempt, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    /// The provider accepted the message.
    Accepted,
    /// The provider refused it for good.
    Refused,
    /// The provider did not accept it now.
    Later,
    /// The provider's answer was lost.
    Lost,
    /// The message had expired.
    Expired,
    /// The worker had lost its lease: another worker is responsible for the message.
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

/// Receives delivery metrics.
pub trait DeliveryObserver: Send + Sync + 'static {
    /// A delivery worker is about to call the provider, this long after the message became due.
    fn handed_over(&self, channel: Channel, waited: Duration);
    /// An attempt ended.
    fn attempted(&self, channel: Channel, result: AttemptResult);
}

/// Waiting messages of one channel and status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStatus {
    /// The channel.
    pub channel: Channel,
    /// `scheduled`, `waiting` or `claimed`; `held` for every message that is held, whichever of these it would be.
    pub status: String,
    /// Number of messages.
    pub depth: i64,
    /// How long the oldest has been due.
    pub age: Duration,
}

impl App {
    /// Waiting messages by channel and status; zero for combinations without messages, so that no old figure stays.
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
