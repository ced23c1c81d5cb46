//! The application: settings and everything a use case needs.

use std::sync::Arc;
use std::time::Duration;

use parlance_cache::Cache;
use parlance_domain::message::Limits;
use parlance_domain::{AttachmentId, ConversationId, MessageId, SenderId, Timestamp};
use parlance_storage::Database;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::cache::audit_answers::AnswerAudits;
use crate::cache::{Audited, Encoders};
use crate::env::Environment;
use crate::feed::hub::Hub;
use crate::pace::Pace;
use crate::provider_registry::ProviderRegistry;
use crate::upkeep::JanitorFailures;
use crate::write::Changes;

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

/// The service without its transport.
pub struct App {
    pub(crate) db: Database,
    pub(crate) settings: Settings,
    cache: Arc<Cache>,
    pub(crate) changes: Arc<Changes>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) going_down: watch::Sender<bool>,
    /// Notified when this instance has released held messages.
    pub(crate) releases: Notify,
    pub(crate) audited: Arc<Audited>,
    pub(crate) answer_audits: AnswerAudits,
    pub(crate) janitor_failures: JanitorFailures,
    env: Environment,
}

impl App {
    /// Creates the service over an open, migrated database, and its cache (see [`crate::cache`]).
    pub fn new(
        database: Database,
        cache: Arc<Cache>,
        settings: Settings,
        env: Environment,
    ) -> Arc<Self> {
        let changes = Arc::new(Changes::new(Arc::clone(&cache), &settings));
        let hub = Hub::new(
            database.clone(),
            Arc::clone(&changes),
            env.clone(),
            settings.feed_poll,
            settings.watch_bytes,
        );
        let (going_down, _) = watch::channel(false);
        Arc::new(Self {
            db: database,
            settings,
            cache,
            changes,
            hub,
            going_down,
            releases: Notify::new(),
            audited: Arc::default(),
            answer_audits: AnswerAudits::default(),
            janitor_failures: JanitorFailures::default(),
            env,
        })
    }

    /// Size limits of a message.
    pub const fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.env.now()
    }

    /// The cache.
    pub const fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// The database, for maintenance.
    pub const fn database(&self) -> &Database {
        &self.db
    }

    /// Begins the shutdown: ends every watcher; the clients reconnect to another instance.
    pub fn go_down(&self) {
        self.going_down.send_replace(true);
    }

    /// Random number for jitter.
    pub(crate) fn random_number(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.env.random()[..8]);
        u64::from_le_bytes(bytes)
    }

    pub(crate) fn message_id(&self, now: Timestamp) -> MessageId {
        MessageId::new(now, self.env.random())
    }

    pub(crate) fn conversation_id(&self, now: Timestamp) -> ConversationId {
        ConversationId::new(now, self.env.random())
    }

    pub(crate) fn sender_id(&self, now: Timestamp) -> SenderId {
        SenderId::new(now, self.env.random())
    }

    pub(crate) fn attachment_id(&self, now: Timestamp) -> AttachmentId {
        AttachmentId::new(now, self.env.random())
    }
}

/// The etag of an edit version; opaque to clients.
pub fn etag(edit_version: i64) -> String {
    format!("\"{edit_version}\"")
}
