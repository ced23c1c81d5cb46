//! An instance with a cache and one without, over one database.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parlance_app::cache::{Encoders, Source};
use parlance_app::conversations::{
    ConversationEdit, ConversationFilter, ConversationRef, ListConversations, Stats,
};
use parlance_app::messages::{
    ConversationTarget, ListMessages, MessageRef, NewMessage, SearchFilter, SearchMessages,
    SearchResult, SendMessage,
};
use parlance_app::{Answer, App, Environment, Page, PageRequest, Read, Settings};
use parlance_cache::redis::{InvalidationConnection, Node, RedisTier};
use parlance_cache::{Backend, GATE_TTL, Shared};
use parlance_domain::message::Content;
use parlance_domain::{
    Address, Channel, Conversation, ConversationId, DeliveryPolicy, Message, MessageId, Owner,
};
use parlance_storage::Database;
use parlance_testkit::{Redis, eventually};

use crate::db::Db;

/// Time-out for conditions: longer than anything takes on a busy machine, because it is reached only in a failure.
pub(crate) const SOON: Duration = Duration::from_mins(2);

pub(crate) struct World {
    pub(crate) app: Arc<App>,
    /// Reads the database each time.
    pub(crate) plain: Arc<App>,
    pub(crate) owner: Owner,
    pub(crate) db: Db,
    pub(crate) redis: Option<Redis>,
}

/// In tests the encoders write the debug format.
const ENCODERS: Encoders = Encoders {
    message: |message| format!("{message:?}").into(),
    conversation: |conversation| format!("{conversation:?}").into(),
    list: |page| format!("{page:?}").into(),
    stats: |stats| format!("{stats:?}").into(),
    search: |page| format!("{page:?}").into(),
};

/// Returns an answer in either form as text.
pub(crate) fn shown<T: Debug>(answer: &Answer<T>) -> String {
    match answer {
        Answer::Value(value) => format!("{value:?}"),
        Answer::Encoded(text) => String::from_utf8(text.to_vec()).unwrap(),
    }
}

impl World {
    pub(crate) async fn new(db: Db, backend: Backend) -> Self {
        Self::with_searches(db, backend, Vec::new()).await
    }

    /// Starts a cached instance that warms these searches, and one without a cache.
    pub(crate) async fn with_searches(
        db: Db,
        backend: Backend,
        warm_searches: Vec<String>,
    ) -> Self {
        let redis = match backend {
            Backend::Redis | Backend::Hybrid => Some(Redis::start()),
            Backend::Off | Backend::Memory => None,
        };
        let open = db.open().await;
        let env = Environment::system();
        let none = parlance_app::cache::none(&open, &env);
        let plain = App::new(open.clone(), none, settings(), env);
        let cached = Settings {
            warm_searches,
            ..settings()
        };
        Self {
            app: instance(&open, backend, redis.as_ref(), cached).await,
            plain,
            owner: Owner::default(),
            db,
            redis,
        }
    }

    /// Sends to the chat with this external id.
    pub(crate) async fn chat(&self, name: &str, body: &str) -> Message {
        let external_id = Some(name.to_owned());
        let user = String::new();
        self.send(ConversationTarget::Chat { external_id, user }, body)
            .await
    }

    /// Sends to the chat of this user.
    pub(crate) async fn chat_as(&self, user: &str, body: &str) -> Message {
        let target = ConversationTarget::Chat {
            external_id: Some(user.to_owned()),
            user: user.to_owned(),
        };
        self.send(target, body).await
    }

    /// Sends to a customer.
    pub(crate) async fn text(&self, customer: u32, body: &str) -> Message {
        let target = ConversationTarget::Pair {
            channel: Channel::Sms,
            ours: Address::ours(Channel::Sms, "+12125550000").unwrap(),
            theirs: Address::recipient(Channel::Sms, &format!("+1646{customer:07}")).unwrap(),
            user: String::new(),
        };
        self.send(target, body).await
    }

    async fn send(&self, target: ConversationTarget, body: &str) -> Message {
        let message = NewMessage {
            target,
            content: Content {
                body: body.to_owned(),
                ..Content::default()
            },
            attachments: Vec::new(),
        };
        let request = SendMessage {
            request_id: None,
            message,
            send_at: None,
            expires_at: None,
            policy: DeliveryPolicy::AtLeastOnce,
        };
        let sent = self.app.send_message(&self.owner, request).await;
        sent.unwrap().value
    }

    pub(crate) async fn message(&self, id: MessageId) -> Read<Answer<Message>> {
        let which = MessageRef::Id(id);
        self.app.message(&self.owner, &which, None).await.unwrap()
    }

    pub(crate) async fn conversation(&self, id: ConversationId) -> Read<Answer<Conversation>> {
        let which = ConversationRef::Id(id);
        let read = self.app.conversation(&self.owner, &which, None).await;
        read.unwrap()
    }

    pub(crate) async fn newest(&self, id: ConversationId) -> Read<Page<Answer<Message>>> {
        let page = self.app.list_messages(&self.owner, list(id, 0), None).await;
        page.unwrap()
    }

    /// Reads the first page of all conversations, or of a user's.
    pub(crate) async fn listed(&self, user: Option<&str>) -> Read<Answer<Page<Conversation>>> {
        let list = ListConversations {
            filter: ConversationFilter {
                user: user.map(str::to_owned),
                ..ConversationFilter::default()
            },
            with_total: true,
            ..ListConversations::default()
        };
        let page = self.app.list_conversations(&self.owner, list, None).await;
        page.unwrap()
    }

    /// Reads the statistics of the owner or a user.
    pub(crate) async fn counted(&self, user: Option<&str>) -> Read<Answer<Stats>> {
        self.app.stats(&self.owner, user, None).await.unwrap()
    }

    /// Reads the first page of matching messages of the owner or a user.
    pub(crate) async fn searched(
        &self,
        query: &str,
        user: Option<&str>,
    ) -> Read<Answer<Page<SearchResult>>> {
        let search = SearchMessages {
            query: query.to_owned(),
            filter: SearchFilter {
                user: user.map(str::to_owned),
                ..SearchFilter::default()
            },
            ..SearchMessages::default()
        };
        let page = self.app.search_messages(&self.owner, search, None).await;
        page.unwrap()
    }

    /// Edits a conversation.
    pub(crate) async fn edit(
        &self,
        id: ConversationId,
        change: impl FnOnce(&mut ConversationEdit),
    ) {
        let mut edit = unchanged(id);
        change(&mut edit);
        let edited = self.app.edit_conversation(&self.owner, edit).await;
        edited.unwrap();
    }

    /// Runs an action while the cache serves, and returns its result. If no reconciliation pass completes for a second
    /// on a busy machine, the gate shuts and reads correctly use the database; then the action is repeated.
    pub(crate) async fn while_open<T>(&self, mut action: impl AsyncFnMut() -> T) -> T {
        eventually(SOON, async || {
            let Some(gate) = self.app.cache().gate() else {
                return Some(action().await);
            };
            let last_pass = Instant::now().checked_sub(gate.reconciled?)?;
            let result = action().await;
            // This pass alone has kept the gate open until now.
            (last_pass.elapsed() < GATE_TTL).then_some(result)
        })
        .await
    }

    /// Reads until the read is a hit; a read does not wait for its fill.
    pub(crate) async fn warm<T>(&self, read: impl AsyncFn() -> Read<T>) -> Read<T> {
        eventually(SOON, async || {
            Some(read().await).filter(|read| read.source != Source::Database)
        })
        .await
    }
}

/// An edit without changes.
pub(crate) const fn unchanged(id: ConversationId) -> ConversationEdit {
    ConversationEdit {
        id,
        etag: None,
        user: None,
        title: None,
        status: None,
        metadata: None,
        external_id: None,
    }
}

/// Request for the first page of a conversation.
pub(crate) fn list(conversation_id: ConversationId, size: usize) -> ListMessages {
    ListMessages {
        conversation_id,
        page: PageRequest {
            size,
            token: String::new(),
        },
        oldest_first: false,
        after_sequence: 0,
        with_total: false,
    }
}

fn settings() -> Settings {
    Settings {
        open_senders: Some("simulator".to_owned()),
        encoders: ENCODERS,
        ..Settings::default()
    }
}

/// A time-out that a busy machine does not reach, so that it does not count as a Redis outage.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Starts an instance with a cache, and waits until the cache is in use.
async fn instance(
    db: &Database,
    backend: Backend,
    redis: Option<&Redis>,
    settings: Settings,
) -> Arc<App> {
    let env = Environment::system();
    let shared = redis.map(|redis| {
        let settings = parlance_cache::redis::RedisSettings {
            timeout: TIMEOUT,
            ..parlance_cache::redis::RedisSettings::new(Node::Single(redis.url().to_owned()))
        };
        Shared {
            remote: RedisTier::connect(&settings).unwrap(),
            tracking: Some(InvalidationConnection::new(&settings).unwrap()),
        }
    });
    let cache_settings = parlance_cache::CacheSettings {
        shared_database: shared.is_some(),
        budget: TIMEOUT,
        stall_timeout: TIMEOUT,
        ..parlance_cache::CacheSettings::new(backend, env.random_numbers())
    };
    let cache = parlance_app::cache::open(db, cache_settings, shared, &env);
    tokio::spawn(Arc::clone(&cache).keep());
    eventually(SOON, async || {
        cache.gate().is_none_or(|gate| gate.open).then_some(())
    })
    .await;
    App::new(db.clone(), cache, settings, env)
}
