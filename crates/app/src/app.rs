//! The application: everything that a use case needs.

use std::sync::Arc;

use parlance_cache::Cache;
use parlance_domain::message::Limits;
use parlance_domain::{AttachmentId, ConversationId, MessageId, SenderId, Timestamp};
use parlance_storage::Database;
use tokio::sync::{Notify, watch};

use crate::cache::Audited;
use crate::cache::audit_answers::AnswerAudits;
use crate::changes::Changes;
use crate::env::Environment;
use crate::feed::hub::Hub;
use crate::settings::Settings;
use crate::upkeep::JanitorFailures;

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
