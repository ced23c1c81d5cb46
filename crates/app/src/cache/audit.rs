//! The auditor: whether what the cache would answer is what the database says. It must find nothing.
//!
//! The row is read first, then the value, so that a value which differs is an older one, unless a write came between. So it
//! counts only if the row still is the same at a second look, and the value still is there, and still differs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parlance_cache::{Key, Kind, Peek};
use parlance_domain::{Conversation, ConversationId, Message, MessageId};
use parlance_storage::StorageResult;
use parlance_storage::db::message::MessageRange;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::admin::CacheDesk;
use super::codec::{ConversationCodec, MessageCodec, MessagesCodec, NEWEST, Newest};
use crate::App;

/// So many keys of those that were hit of late are looked at each time.
const MOST: usize = 32;

/// What the auditor has counted.
#[derive(Debug, Default)]
pub struct Audited {
    /// Values that were compared.
    pub checked: AtomicU64,
    /// Values that were wrong.
    pub violations: AtomicU64,
}

/// What came of comparing one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// There is none any more.
    Nothing,
    /// It is what the database says.
    Right,
    /// It is not.
    Wrong,
}

impl CacheDesk {
    /// What the auditor has counted.
    pub fn audited(&self) -> &Arc<Audited> {
        &self.audited
    }

    /// Audits now and then, as long as the process lives.
    pub async fn run_auditor(self: Arc<Self>, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.audit().await;
        }
    }

    /// Looks at some of what was hit of late.
    async fn audit(&self) {
        for key in self.cache().hit_of_late().into_iter().take(MOST) {
            let found = match self.app.audit(key).await {
                Ok(found) => found,
                // With the database away nothing can be compared.
                Err(error) => {
                    tracing::debug!(%error, "the auditor could not compare");
                    return;
                }
            };
            let (checked, violations) = match found {
                Found::Nothing => (0, 0),
                Found::Right => (1, 0),
                Found::Wrong => (1, 1),
            };
            self.audited.checked.fetch_add(checked, Ordering::Relaxed);
            self.audited
                .violations
                .fetch_add(violations, Ordering::Relaxed);
            if found == Found::Wrong {
                tracing::error!(%key, "a cached value is not what the database says");
            }
        }
    }
}

/// What the database says of a key.
#[derive(Debug, Clone, PartialEq)]
enum Row {
    Nothing,
    Message(Box<Message>),
    Conversation(Box<Conversation>),
    Newest(Newest),
}

impl App {
    async fn audit(&self, key: Key) -> StorageResult<Found> {
        let cache = self.cache();
        if key.kind().is_scoped() {
            return Ok(Found::Nothing);
        }
        let row = self.row(key).await?;
        let Some(seen) = cache.peek(key).await else {
            return Ok(Found::Nothing);
        };
        if self.is_right(&seen, &row) {
            return Ok(Found::Right);
        }
        if self.row(key).await? != row {
            return Ok(Found::Nothing);
        }
        Ok(match cache.peek(key).await {
            Some(seen) if !self.is_right(&seen, &row) => Found::Wrong,
            Some(_) => Found::Right,
            None => Found::Nothing,
        })
    }

    async fn row(&self, key: Key) -> StorageResult<Row> {
        let id = Uuid::from_u128(key.id());
        let owner = match key.kind() {
            Kind::Message => self.db.owner_of_message(MessageId::from_uuid(id)).await?,
            Kind::Conversation | Kind::Messages => {
                let id = ConversationId::from_uuid(id);
                self.db.owner_of_conversation(id).await?
            }
            // They are good by their generation, which no row tells.
            Kind::List | Kind::Stats | Kind::Search | Kind::Generation => None,
        };
        let Some(owner) = owner else {
            return Ok(Row::Nothing);
        };
        let row = match key.kind() {
            Kind::Message => {
                let found = self.db.message(&owner, MessageId::from_uuid(id)).await?;
                found.map(|message| Row::Message(Box::new(message)))
            }
            Kind::Conversation => {
                let id = ConversationId::from_uuid(id);
                let found = self.db.conversation(&owner, id).await?;
                found.map(|conversation| Row::Conversation(Box::new(conversation)))
            }
            Kind::Messages => {
                let range = MessageRange {
                    above: 0,
                    below: None,
                    oldest_first: false,
                };
                let limit = i64::try_from(NEWEST + 1).unwrap_or(i64::MAX);
                let id = ConversationId::from_uuid(id);
                let found = self.db.message_page(&owner, id, range, limit).await?;
                (!found.is_empty()).then(|| Row::Newest(Newest::of(found)))
            }
            Kind::List | Kind::Stats | Kind::Search | Kind::Generation => None,
        };
        Ok(row.unwrap_or(Row::Nothing))
    }

    /// What is cached of nothing is wrong.
    fn is_right(&self, seen: &Peek, row: &Row) -> bool {
        let encoders = self.settings.encoders;
        match row {
            Row::Nothing => false,
            Row::Message(row) => {
                let id = row.id;
                seen.is(MessageCodec { id, encoders }, row)
            }
            Row::Conversation(row) => {
                let id = row.id;
                seen.is(ConversationCodec { id, encoders }, row)
            }
            Row::Newest(row) => row.messages.first().is_some_and(|newest| {
                let id = newest.conversation_id;
                seen.is(MessagesCodec { id, encoders }, row)
            }),
        }
    }
}
