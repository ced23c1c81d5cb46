//! The auditor: compares cached values with the database. It must find no violation.
//!
//! The row is read first, then the value, so that a value which differs is older, unless a write came between. A
//! difference is only a suspicion: a write may have been committed and neither released nor acknowledged yet. So it
//! counts only if, after any such write must have ended, both the row and the value are unchanged.

use std::sync::Arc;
use std::time::Duration;

use parlance_cache::{Key, Kind, Peek};
use parlance_domain::{Conversation, ConversationId, Message, MessageId};
use parlance_storage::StorageResult;
use parlance_storage::db::message::MessageRange;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::admin::CacheAdmin;
use crate::App;
use crate::cache::Audited;
use crate::cache::audit_answers::SETTLE_TIME;
use crate::cache::audited::Finding;
use crate::cache::codec::{ConversationCodec, MessageCodec, MessagesCodec, NEWEST, Newest};

/// Recently hit keys that one round compares at most.
const MAX_PER_ROUND: usize = 32;

impl CacheAdmin {
    /// The auditor's counters.
    pub fn audited(&self) -> &Arc<Audited> {
        &self.app.audited
    }

    /// Runs the auditor at an interval, for the life of the process.
    pub async fn run_auditor(self: Arc<Self>, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.app.answer_audits.begin_round();
            self.audit().await;
        }
    }

    /// Compares some of the recently hit values.
    async fn audit(&self) {
        let hit = self.cache().take_recent_hits().into_iter();
        // The key of a scope does not reveal its query: see `audit_answers`.
        let keys = hit
            .filter(|key| !key.kind().is_scoped())
            .take(MAX_PER_ROUND);
        let compared = self.app.compare(keys, tokio::time::sleep(SETTLE_TIME));
        // Nothing can be compared while the database is unavailable.
        if let Err(error) = compared.await {
            tracing::debug!(%error, "the auditor could not compare");
        }
    }
}

/// Database contents of a key.
#[derive(Debug, Clone, PartialEq)]
enum Row {
    Nothing,
    Message(Box<Message>),
    Conversation(Box<Conversation>),
    Newest(Newest),
}

impl App {
    /// Compares values with their rows. `settled` completes when every write that was under way has ended.
    async fn compare(
        &self,
        keys: impl Iterator<Item = Key>,
        settled: impl Future<Output = ()>,
    ) -> StorageResult<()> {
        let mut suspects = Vec::new();
        for key in keys {
            let row = self.row(key).await?;
            match self.cache().peek(key).await {
                None => self.audited.note(key, Finding::Absent),
                Some(seen) if self.is_right(&seen, &row) => self.audited.note(key, Finding::Match),
                Some(seen) => suspects.push((key, row, seen)),
            }
        }
        if !suspects.is_empty() {
            settled.await;
        }
        for (key, row, seen) in suspects {
            let stays = self.row(key).await? == row && self.cache().peek(key).await == Some(seen);
            let finding = if stays {
                Finding::Violation
            } else {
                Finding::Absent
            };
            self.audited.note(key, finding);
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
            // Validated by their generation, which no row holds: see `audit_answers`.
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

    /// Whether a value matches its row. A value without a row does not.
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
