//! Retention: removes messages older than the configured age, and conversations that were last active before it and
//! are left empty. It uses the same writes as a deletion by a client, in batches that are found by an index, so the
//! time depends only on what is removed. Instances that do this at once begin at different items and skip what is
//! gone.

use std::collections::BTreeMap;

use parlance_domain::{Conversation, ConversationId, MessageId, Owner, Timestamp};
use parlance_storage::Guarded;
use parlance_storage::db::message::AgedMessage;

use crate::App;
use crate::error::Result;
use crate::messages::is_idle;
use crate::upkeep::JanitorPart;

/// Messages and conversations that one read returns.
const PAGE: i64 = 500;
/// Messages that one write removes; the write blocks their conversation meanwhile.
const BATCH: usize = 50;

impl App {
    /// Removes everything older than the retention; returns how many messages and conversations.
    pub async fn drop_aged(&self) -> Result<(usize, usize)> {
        let Some(retention) = self.settings.retention else {
            return Ok((0, 0));
        };
        let before = self.now().minus(retention);
        let (messages, with_them) = self.drop_messages(before).await?;
        let conversations = with_them + self.drop_conversations(before).await?;
        if messages + conversations > 0 {
            tracing::info!(
                messages,
                conversations,
                "removed messages and conversations older than the retention"
            );
        }
        Ok((messages, conversations))
    }

    async fn drop_messages(&self, before: Timestamp) -> Result<(usize, usize)> {
        let (mut messages, mut conversations) = (0, 0);
        let mut last: Option<AgedMessage> = None;
        while !self.is_going_down() {
            let found = self.db.aged_messages(before, last.as_ref(), PAGE).await?;
            let Some(newest) = found.last() else { break };
            last = Some(newest.clone());
            for (owner, conversation, ids) in self.rotated(batches(found)) {
                let gone = self.delete_aged(&owner, conversation, &ids, before).await;
                let gone = self.skip_failed(JanitorPart::Retention, conversation, gone)?;
                let (gone, with_them) = gone.unwrap_or_default();
                messages += gone;
                conversations += usize::from(with_them);
            }
        }
        Ok((messages, conversations))
    }

    /// Removes conversations without messages.
    async fn drop_conversations(&self, before: Timestamp) -> Result<usize> {
        let mut dropped = 0;
        let mut last: Option<Conversation> = None;
        while !self.is_going_down() {
            let found = self
                .db
                .aged_conversations(before, last.as_ref(), PAGE)
                .await?;
            let Some(newest) = found.last() else { break };
            last = Some(newest.clone());
            for conversation in self.rotated(found) {
                let gone = self.drop_conversation(&conversation, before).await;
                let gone = self.skip_failed(JanitorPart::Retention, conversation.id, gone)?;
                dropped += usize::from(gone.unwrap_or_default());
            }
        }
        Ok(dropped)
    }

    /// Removes the conversation, unless it is in use again.
    async fn drop_conversation(&self, aged: &Conversation, before: Timestamp) -> Result<bool> {
        let mut tx = self.begin(&aged.owner).await?;
        let found = tx.lock_conversation(aged.id).await?;
        let Some(found) = found.filter(|it| it.message_count == 0 && is_idle(it, before)) else {
            tx.rollback().await?;
            return Ok(false);
        };
        if tx.hide_conversation(&found).await? == Guarded::Stale {
            tx.rollback().await?;
            return Ok(false);
        }
        self.commit(tx).await?;
        self.remove_hidden(&found).await?;
        Ok(true)
    }

    /// The same items, rotated to begin at a random one.
    fn rotated<T>(&self, mut items: Vec<T>) -> Vec<T> {
        let length = u64::try_from(items.len()).unwrap_or(u64::MAX).max(1);
        let first = usize::try_from(self.random_number() % length).unwrap_or_default();
        items.rotate_left(first);
        items
    }
}

/// What one write removes.
type Batch = (Owner, ConversationId, Vec<MessageId>);

fn batches(found: Vec<AgedMessage>) -> Vec<Batch> {
    let mut of: BTreeMap<(Owner, ConversationId), Vec<MessageId>> = BTreeMap::new();
    for AgedMessage {
        owner,
        conversation_id,
        id,
        created_at: _,
    } in found
    {
        of.entry((owner, conversation_id)).or_default().push(id);
    }
    let batches = of.into_iter().flat_map(|((owner, conversation), ids)| {
        let batch = |ids: &[MessageId]| (owner.clone(), conversation, ids.to_vec());
        ids.chunks(BATCH).map(batch).collect::<Vec<_>>()
    });
    batches.collect()
}
