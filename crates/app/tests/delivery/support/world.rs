//! A service with several instances, and helpers to use it.

use std::sync::Arc;
use std::time::Duration;

use parlance_app::delivery::Pace;
use parlance_app::messages::{
    ConversationTarget, DeliveryEvent, MessageRef, NewMessage, SendMessage,
};
use parlance_app::{App, Clock as _, Result, SystemRandom};
use parlance_domain::message::Content;
use parlance_domain::{
    Address, Channel, DeliveryPolicy, Message, MessageId, MessageStatus, Owner, Timestamp,
};
use parlance_storage::Database;

use super::dispatcher::app;
use super::{Db, FakeProvider, Kind, SOON, TestClock, Wire};

/// Our address.
pub(crate) const OURS: &str = "+12125550000";

pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) clock: TestClock,
    /// The instance that serves requests; it dispatches nothing.
    pub(crate) front: Arc<App>,
    pub(crate) provider: Arc<FakeProvider>,
    pub(crate) owner: Owner,
    open: Database,
}

/// Settings of a fast dispatcher. Its leases never expire by themselves, because the clock stands still.
pub(crate) fn pace() -> Pace {
    Pace {
        workers: 256,
        batch: 100,
        lease: Duration::from_hours(1),
        provider_timeout: Duration::from_mins(10),
        poll: Duration::from_millis(10),
        ..Pace::default()
    }
}

/// An outbound message.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) to: String,
    pub(crate) body: String,
    pub(crate) send_at: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) policy: DeliveryPolicy,
}

impl Outgoing {
    /// A message to this customer, each in a conversation of its own.
    pub(crate) fn to(customer: usize) -> Self {
        Self {
            to: number(customer),
            body: "hello".to_owned(),
            send_at: None,
            expires_at: None,
            policy: DeliveryPolicy::AtLeastOnce,
        }
    }

    pub(crate) fn body(self, body: impl Into<String>) -> Self {
        let body = body.into();
        Self { body, ..self }
    }

    pub(crate) fn at(self, at: Timestamp) -> Self {
        let send_at = Some(at);
        Self { send_at, ..self }
    }

    pub(crate) fn until(self, at: Timestamp) -> Self {
        let expires_at = Some(at);
        Self { expires_at, ..self }
    }

    pub(crate) fn at_most_once(self) -> Self {
        let policy = DeliveryPolicy::AtMostOnce;
        Self { policy, ..self }
    }
}

/// Returns a customer's number.
pub(crate) fn number(customer: usize) -> String {
    format!("+1646{:07}", 5_550_000 + customer)
}

impl World {
    pub(crate) async fn new(db: Db) -> Self {
        Self::with(db, TestClock::standing(), true).await
    }

    pub(crate) async fn with(db: Db, clock: TestClock, idempotent: bool) -> Self {
        let open = db.open().await;
        let provider = FakeProvider::new(clock.clone(), idempotent);
        let wire = Wire::to(&provider);
        Self {
            front: app(open.clone(), pace(), &clock, SystemRandom, &wire),
            provider,
            owner: Owner::parse("acme").unwrap(),
            db,
            clock,
            open,
        }
    }

    /// Opens connections for another instance. On SQLite the connections are shared, because separate writers would
    /// only block each other.
    pub(crate) async fn database_for_another(&self) -> Database {
        match self.db.kind {
            Kind::Sqlite => self.open.clone(),
            Kind::Postgres => self.db.open().await,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn send(&self, outgoing: Outgoing) -> Message {
        self.try_send(outgoing).await.unwrap()
    }

    pub(crate) async fn try_send(&self, outgoing: Outgoing) -> Result<Message> {
        let Outgoing {
            to,
            body,
            send_at,
            expires_at,
            policy,
        } = outgoing;
        let message = NewMessage {
            target: ConversationTarget::Pair {
                channel: Channel::Sms,
                ours: Address::ours(Channel::Sms, OURS).unwrap(),
                theirs: Address::recipient(Channel::Sms, &to).unwrap(),
                user: String::new(),
            },
            content: Content {
                body,
                ..Content::default()
            },
            attachments: Vec::new(),
        };
        let request = SendMessage {
            request_id: None,
            message,
            send_at,
            expires_at,
            policy,
        };
        Ok(self.front.send_message(&self.owner, request).await?.value)
    }

    /// Sends one message to each customer.
    pub(crate) async fn send_to_each(
        &self,
        customers: std::ops::Range<usize>,
        make: impl Fn(Outgoing) -> Outgoing,
    ) -> Vec<MessageId> {
        let mut sent = Vec::new();
        for customer in customers {
            sent.push(self.send(make(Outgoing::to(customer))).await.id);
        }
        sent
    }

    pub(crate) async fn message(&self, id: MessageId) -> Message {
        let which = MessageRef::Id(id);
        let read = self.front.message(&self.owner, &which, None).await;
        read.unwrap().value.value().unwrap()
    }

    pub(crate) async fn status(&self, id: MessageId) -> MessageStatus {
        self.message(id).await.progress.status
    }

    pub(crate) async fn delivery_events(&self, id: MessageId) -> Vec<DeliveryEvent> {
        self.front.message_events(&self.owner, id).await.unwrap()
    }

    /// Waits until a message has a status.
    pub(crate) async fn until_status(&self, id: MessageId, status: MessageStatus) -> Message {
        let reached = tokio::time::timeout(SOON, async {
            loop {
                let message = self.message(id).await;
                if message.progress.status == status {
                    return message;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        if let Ok(message) = reached.await {
            return message;
        }
        panic!("{id} is not {status}: {:?}", self.message(id).await)
    }

    /// Waits until no message is left to deliver.
    pub(crate) async fn until_all_left(&self) {
        let left = tokio::time::timeout(SOON, async {
            while self.db.count("deliveries").await > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        if left.await.is_err() {
            let deliveries = "SELECT state || ' attempt ' || attempt || ' blocked ' || blocked || ' due ' || CAST(due_at AS text) AS v FROM deliveries LIMIT 20";
            panic!(
                "deliveries that never complete: {:#?}",
                self.db.texts(deliveries).await
            );
        }
    }
}
