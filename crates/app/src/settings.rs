//! Settings of an installation.

use std::time::Duration;

use parlance_domain::message::Limits;
use uuid::Uuid;

use crate::cache::Encoders;
use crate::pace::Pace;
use crate::provider_registry::ProviderRegistry;

/// Settings of an installation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Identity of the installation, from its database: distinguishes installations that share one Redis.
    pub installation: Uuid,
    /// Size limits of a message.
    pub limits: Limits,
    /// The configured providers.
    pub providers: ProviderRegistry,
    /// The provider whose senders are created by first use of an address of ours. Only for installations that send
    /// nothing to the outside.
    pub open_senders: Option<String>,
    /// Settings of the dispatcher.
    pub pace: Pace,
    /// How long the change feed is kept.
    pub feed_retention: Duration,
    /// How long messages and conversations are kept; unlimited without it.
    pub retention: Option<Duration>,
    /// How often the feed is polled for the writes of other instances, while there are watchers.
    pub feed_poll: Duration,
    /// Memory budget in bytes for events that wait for slow watchers of this process.
    pub watch_bytes: u64,
    /// How long a `request_id` is remembered; at least 24 hours are promised.
    pub request_id_retention: Duration,
    /// How long an upload may wait for the message that uses it.
    pub upload_lifetime: Duration,
    /// Words that a warm-up of the cache searches for.
    pub warm_searches: Vec<String>,
    /// How the transport encodes values of the in-process cache.
    pub encoders: Encoders,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            installation: Uuid::nil(),
            limits: Limits::default(),
            providers: ProviderRegistry::default(),
            open_senders: None,
            pace: Pace::default(),
            feed_retention: DAY,
            retention: None,
            feed_poll: Duration::from_millis(25),
            watch_bytes: 64 * 1024 * 1024,
            request_id_retention: DAY * 2,
            upload_lifetime: DAY,
            warm_searches: Vec::new(),
            encoders: Encoders::default(),
        }
    }
}
