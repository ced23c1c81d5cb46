//! An instance, and the keys that it has fenced.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parlance_app::conversations::CreateConversation;
use parlance_app::messages::{ConversationTarget, NewMessage, ReceiveMessage, SendMessage};
use parlance_app::{App, Environment, RequestId, Settings, cache};
use parlance_cache::Backend;
use parlance_domain::message::Content;
use parlance_domain::{
    Address, Channel, Conversation, ConversationId, ConversationStatus, DeliveryPolicy, Json,
    Message, MessageId, Owner, Timestamp,
};
use parlance_storage::db::cache::CacheTimes;
use parlance_storage::{Database, DatabaseUrl, migrate};
use parlance_testkit::SqliteFile;
use sha2::{Digest as _, Sha256};

const OURS: &str = "+12125550000";

pub(crate) struct World {
    pub(crate) app: Arc<App>,
    pub(crate) owner: Owner,
    database: Database,
    _file: SqliteFile,
}

impl World {
    pub(crate) async fn new() -> Self {
        let file = SqliteFile::new();
        let settings = parlance_storage::Settings::new(DatabaseUrl::parse(&file.url()).unwrap());
        migrate(&settings).await.unwrap();
        let database = Database::open(&settings).await.unwrap();
        let env = Environment::system();
        // It has no cache and no registration.
        let off = parlance_cache::CacheSettings::new(Backend::Off, env.random_numbers());
        let cache = cache::open(&database, off, None, &env);
        let settings = Settings {
            open_senders: Some("simulator".to_owned()),
            ..Settings::default()
        };
        Self {
            app: App::new(database.clone(), cache, settings, env),
            owner: Owner::parse("acme").unwrap(),
            database,
            _file: file,
        }
    }

    /// Returns the keys fenced by one transaction since the last call; each must be recorded once.
    pub(crate) async fn fenced(&self) -> BTreeSet<String> {
        let keys = self.take_pending().await;
        let set: BTreeSet<String> = keys.iter().cloned().collect();
        assert_eq!(set.len(), keys.len(), "a key is recorded twice: {keys:?}");
        set
    }

    /// Returns the keys fenced since the last call, by any number of transactions.
    pub(crate) async fn fenced_by_any(&self) -> BTreeSet<String> {
        self.take_pending().await.into_iter().collect()
    }

    /// Discards the keys fenced so far.
    pub(crate) async fn clear_fenced(&self) {
        self.take_pending().await;
    }

    async fn take_pending(&self) -> Vec<String> {
        const IMMEDIATELY: CacheTimes = CacheTimes {
            serve: Duration::ZERO,
            alive: Duration::ZERO,
            remove_after: Duration::ZERO,
        };
        let rows = self.database.cache_pending(true, 10_000).await.unwrap();
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        assert!(
            self.database
                .cache_settle(&ids, None, IMMEDIATELY)
                .await
                .unwrap()
        );
        rows.into_iter().map(|row| row.key).collect()
    }

    /// Sends a text to a customer immediately.
    pub(crate) async fn send(&self) -> Message {
        self.send_under("first", None).await
    }

    /// Sends a text under a request id, optionally scheduled.
    pub(crate) async fn send_under(&self, id: &str, send_at: Option<Timestamp>) -> Message {
        let request = SendMessage {
            request_id: Some(request_id(id)),
            message: text("hello"),
            send_at,
            expires_at: None,
            policy: DeliveryPolicy::AtLeastOnce,
        };
        let sent = self.app.send_message(&self.owner, request).await;
        sent.unwrap().value
    }

    /// Receives a text from the customer with this provider id.
    pub(crate) async fn receive(&self, request: Option<&str>, provider_id: &str) -> Message {
        let request = ReceiveMessage {
            request_id: request.map(request_id),
            message: text("hi"),
            provider: "simulator".to_owned(),
            provider_message_id: provider_id.to_owned(),
            received_at: None,
        };
        let received = self.app.receive_message(&self.owner, request).await;
        received.unwrap().value
    }

    /// Creates a chat without messages.
    pub(crate) async fn create(&self, id: &str) -> Conversation {
        let request = CreateConversation {
            request_id: Some(request_id(id)),
            channel: Channel::Chat,
            addresses: None,
            user: "ada".to_owned(),
            title: String::new(),
            status: ConversationStatus::Active,
            external_id: None,
            metadata: Json::default(),
        };
        let created = self.app.create_conversation(&self.owner, request).await;
        created.unwrap().value
    }
}

fn request_id(key: &str) -> RequestId {
    RequestId {
        key: key.to_owned(),
        request_hash: [7; 32],
    }
}

fn text(body: &str) -> NewMessage {
    NewMessage {
        target: ConversationTarget::Pair {
            channel: Channel::Sms,
            ours: Address::ours(Channel::Sms, OURS).unwrap(),
            theirs: Address::recipient(Channel::Sms, "+16465550001").unwrap(),
            user: "ada".to_owned(),
        },
        content: Content {
            body: body.to_owned(),
            ..Content::default()
        },
        attachments: Vec::new(),
    }
}

/// Cache key of a message.
pub(crate) fn message(id: MessageId) -> String {
    format!("message:{id}")
}

/// Cache key of a conversation.
pub(crate) fn conversation(id: ConversationId) -> String {
    format!("conversation:{id}")
}

/// Cache key of a conversation's newest messages.
pub(crate) fn newest(id: ConversationId) -> String {
    format!("conversation:{id}:messages")
}

/// Generation key of the owner or of one of its users.
pub(crate) fn generation(user: Option<&str>) -> String {
    let user = user.map_or_else(String::new, |user| format!(" {user}"));
    let of = format!("{} acme{user}", uuid::Uuid::nil().simple());
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(of)[..16]);
    format!("generation:{{{:032x}}}", u128::from_be_bytes(half))
}

/// Adds the generation keys of the owner and of the user ada.
pub(crate) fn shown(keys: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let scopes = [generation(None), generation(Some("ada"))];
    keys.into_iter().chain(scopes).collect()
}
