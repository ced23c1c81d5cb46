//! An instance, and what it has fenced.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parlance_app::conversations::CreateConversation;
use parlance_app::messages::{ConversationTarget, NewMessage, ReceiveMessage, SendMessage};
use parlance_app::{App, Environment, RequestId, Settings, cache};
use parlance_cache::Backend;
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
        // Nobody keeps it, so that nobody knows of it.
        let off = parlance_cache::CacheSettings::new(Backend::Off, env.random_numbers());
        let cache = cache::open(&database, off, None, &env);
        Self {
            app: App::new(database.clone(), cache, Settings::default(), env),
            owner: Owner::parse("acme").unwrap(),
            database,
            _file: file,
        }
    }

    /// The keys that one transaction fenced since the last time, each named once.
    pub(crate) async fn fenced(&self) -> BTreeSet<String> {
        let keys = self.named().await;
        let set: BTreeSet<String> = keys.iter().cloned().collect();
        assert_eq!(set.len(), keys.len(), "a key is named twice: {keys:?}");
        set
    }

    /// The keys that were fenced since the last time, by however many transactions.
    pub(crate) async fn fenced_by_any(&self) -> BTreeSet<String> {
        self.named().await.into_iter().collect()
    }

    /// What was fenced so far does not matter.
    pub(crate) async fn forget(&self) {
        self.named().await;
    }

    async fn named(&self) -> Vec<String> {
        const AT_ONCE: CacheTimes = CacheTimes {
            serve: Duration::ZERO,
            alive: Duration::ZERO,
            remove_after: Duration::ZERO,
        };
        let rows = self.database.cache_pending(true, 10_000).await.unwrap();
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        assert!(
            self.database
                .cache_settle(&ids, None, AT_ONCE)
                .await
                .unwrap()
        );
        rows.into_iter().map(|row| row.key).collect()
    }

    /// A text to a customer, at once.
    pub(crate) async fn send(&self) -> Message {
        self.send_under("first", None).await
    }

    /// The same under a request id, at a time.
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

    /// A text from the customer, which its provider knows under this id.
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

    /// A chat without a message.
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
        role: None,
        cc_addresses: Vec::new(),
        subject: String::new(),
        body: body.to_owned(),
        html_body: String::new(),
        attachments: Vec::new(),
        tokens_used: None,
        latency_ms: None,
        metadata: Json::default(),
    }
}

/// The key of a message, its conversation or its list.
pub(crate) fn message(id: MessageId) -> String {
    format!("message:{id}")
}

/// The same of a conversation.
pub(crate) fn conversation(id: ConversationId) -> String {
    format!("conversation:{id}")
}

/// The same of its newest messages.
pub(crate) fn newest(id: ConversationId) -> String {
    format!("conversation:{id}:messages")
}

/// What ends when something of the owner changes, or of one of its users.
pub(crate) fn generation(user: Option<&str>) -> String {
    let user = user.map_or_else(String::new, |user| format!(" {user}"));
    let of = format!("{} acme{user}", uuid::Uuid::nil().simple());
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(of)[..16]);
    format!("generation:{{{:032x}}}", u128::from_be_bytes(half))
}

/// These, and what ends because they are shown to the owner and to ada.
pub(crate) fn shown(keys: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let scopes = [generation(None), generation(Some("ada"))];
    keys.into_iter().chain(scopes).collect()
}
