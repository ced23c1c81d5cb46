//! What every use case needs.

use std::sync::Arc;
use std::time::Duration;

use parlance_cache::{Backend, Cache};
use parlance_domain::message::Limits;
use parlance_domain::{AttachmentId, ConversationId, MessageId, SenderId, Timestamp};
use parlance_storage::Database;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use crate::cache::audit_answers::AnswerAudits;
use crate::cache::popular::Popular;
use crate::cache::{Audited, Encoders};
use crate::delivery::Pace;
use crate::env::Environment;
use crate::events::hub::Hub;
use crate::janitor::JanitorFailures;
use crate::write::Changes;

/// What an installation decides.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which installation this is, as its database says: what several may keep in one Redis is told apart by it.
    pub installation: Uuid,
    /// How much a message may hold.
    pub limits: Limits,
    /// The providers that carry messages; the first is the default.
    pub providers: Vec<String>,
    /// Whether an unknown address of ours becomes a sender by itself: while no message leaves the machine.
    pub open_senders: bool,
    /// How the dispatcher works.
    pub pace: Pace,
    /// How long the change feed is kept.
    pub feed_retention: Duration,
    /// How long messages and conversations are kept; for ever without it.
    pub retention: Option<Duration>,
    /// How often the feed is looked at for what other instances wrote, while somebody watches.
    pub feed_poll: Duration,
    /// The bytes of events that may wait in this process for watchers that are slow.
    pub watch_bytes: u64,
    /// How long a `request_id` is remembered; at least 24 hours are promised.
    pub request_id_retention: Duration,
    /// How long an upload waits for its send.
    pub upload_lifetime: Duration,
    /// Whether it is noted which searches are asked often.
    pub note_searches: bool,
    /// How the transport writes what is kept in this process.
    pub encoders: Encoders,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            installation: Uuid::nil(),
            limits: Limits::default(),
            providers: vec!["simulator".to_owned()],
            open_senders: true,
            pace: Pace::default(),
            feed_retention: DAY,
            retention: None,
            feed_poll: Duration::from_millis(25),
            watch_bytes: 64 * 1024 * 1024,
            request_id_retention: DAY * 2,
            upload_lifetime: DAY,
            note_searches: false,
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
    /// Held messages were released by this instance.
    pub(crate) releases: Notify,
    pub(crate) popular: Popular,
    pub(crate) audited: Arc<Audited>,
    pub(crate) answer_audits: AnswerAudits,
    pub(crate) janitor_failures: JanitorFailures,
    env: Environment,
}

impl App {
    /// The service over an open, migrated database, and its cache (see [`crate::cache`]).
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
        // Where nothing is cached, nothing is warmed.
        let popular = Popular::new(settings.note_searches && cache.backend() != Backend::Off);
        Arc::new(Self {
            db: database,
            settings,
            cache,
            changes,
            hub,
            going_down,
            releases: Notify::new(),
            popular,
            audited: Arc::default(),
            answer_audits: AnswerAudits::default(),
            janitor_failures: JanitorFailures::default(),
            env,
        })
    }

    /// How much a message may hold.
    pub const fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.env.now()
    }

    /// What is kept near.
    pub const fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// The database, for those who look after it.
    pub const fn database(&self) -> &Database {
        &self.db
    }

    /// Ends every watcher; whoever watches connects to another instance.
    pub fn go_down(&self) {
        self.going_down.send_replace(true);
    }

    /// A number for jitter.
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

/// The etag of a resource at an edit: opaque to clients.
pub fn etag(edit_version: i64) -> String {
    format!("\"{edit_version}\"")
}
