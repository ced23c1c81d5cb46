//! The auditor: whether what the cache would answer is what the database says. It must find nothing.
//!
//! The row is read first, then the value, so that a value which differs is an older one, unless a write came between. One that
//! differs is suspected, no more: a write may have been committed that is still to be released, and is acknowledged to nobody. So
//! it counts only if, when any such write has long ended, the row still is the same, and so is the value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parlance_cache::{Key, Kind, Peek};
use parlance_domain::{Conversation, ConversationId, Message, MessageId};
use parlance_storage::StorageResult;
use parlance_storage::db::message::MessageRange;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::admin::{CacheAdmin, is_value};
use super::audit_answers::PATIENCE;
use super::codec::{ConversationCodec, MessageCodec, MessagesCodec, NEWEST, Newest};
use crate::App;

/// So many keys of those that were hit of late are looked at each time.
const MOST: usize = 32;

/// What the auditor has counted.
#[derive(Debug, Default)]
pub struct Audited([Counts; Kind::ALL.len()]);

/// Of one kind.
#[derive(Debug, Default)]
struct Counts {
    /// Values that were compared.
    checked: AtomicU64,
    /// Values that were wrong.
    violations: AtomicU64,
}

impl Audited {
    /// Each kind, how many of its values were compared, and how many of these were wrong.
    pub fn by_kind(&self) -> impl Iterator<Item = (Kind, u64, u64)> {
        let kinds = Kind::ALL.into_iter().zip(&self.0);
        kinds
            .filter(|(kind, _)| is_value(*kind))
            .map(|(kind, counts)| {
                let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
                (kind, count(&counts.checked), count(&counts.violations))
            })
    }

    /// How many values were compared, and how many of these were wrong.
    pub(crate) fn in_all(&self) -> (u64, u64) {
        self.by_kind().fold((0, 0), |(checked, wrong), (_, c, w)| {
            (checked + c, wrong + w)
        })
    }

    /// A value was compared.
    pub(crate) fn note(&self, key: Key, found: Found) {
        let mut kinds = Kind::ALL.into_iter().zip(&self.0);
        let Some((_, counts)) = kinds.find(|(kind, _)| *kind == key.kind()) else {
            return;
        };
        let (checked, violations) = match found {
            Found::Nothing => (0, 0),
            Found::Right => (1, 0),
            Found::Wrong => (1, 1),
        };
        counts.checked.fetch_add(checked, Ordering::Relaxed);
        counts.violations.fetch_add(violations, Ordering::Relaxed);
        if found == Found::Wrong {
            tracing::error!(%key, "a cached value is not what the database says");
        }
    }
}

/// What came of comparing one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is none any more.
    Nothing,
    /// It is what the database says.
    Right,
    /// It is not.
    Wrong,
}

impl CacheAdmin {
    /// What the auditor has counted.
    pub fn audited(&self) -> &Arc<Audited> {
        &self.app.audited
    }

    /// Audits now and then, as long as the process lives.
    pub async fn run_auditor(self: Arc<Self>, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.app.answer_audits.begin_round();
            self.audit().await;
        }
    }

    /// Looks at some of what was hit of late.
    async fn audit(&self) {
        let hit = self.cache().take_recent_hits().into_iter();
        // A key of a scope does not tell its question: see `audit_answers`.
        let keys = hit.filter(|key| !key.kind().is_scoped()).take(MOST);
        let looked = self.app.look_at(keys, tokio::time::sleep(PATIENCE));
        // With the database away nothing can be compared.
        if let Err(error) = looked.await {
            tracing::debug!(%error, "the auditor could not compare");
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
    /// `patience` is over when whatever write was under way has ended.
    async fn look_at(
        &self,
        keys: impl Iterator<Item = Key>,
        patience: impl Future<Output = ()>,
    ) -> StorageResult<()> {
        let mut suspects = Vec::new();
        for key in keys {
            let row = self.row(key).await?;
            match self.cache().peek(key).await {
                None => self.audited.note(key, Found::Nothing),
                Some(seen) if self.is_right(&seen, &row) => self.audited.note(key, Found::Right),
                Some(seen) => suspects.push((key, row, seen)),
            }
        }
        if !suspects.is_empty() {
            patience.await;
        }
        for (key, row, seen) in suspects {
            let stays = self.row(key).await? == row && self.cache().peek(key).await == Some(seen);
            let found = if stays { Found::Wrong } else { Found::Nothing };
            self.audited.note(key, found);
        }
        Ok(())
    }

    async fn row(&self, key: Key) -> StorageResult<Row> {
        let id = Uuid::from_u128(key.id());
        let owner = match key.kind() {
            Kind::Message => self.db.owner_of_message(MessageId::from_uuid(id)).await?,
            Kind::Conversation | Kind::Messages => {
                let id = ConversationId::from_uuid(id);
                self.db.owner_of_conversation(id).await?
            }
            // They are good by their generation, which no row tells: see `audit_answers`.
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
