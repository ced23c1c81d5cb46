//! Transitions of messages and outcomes of hand-overs, written in batches: a few statements serve any number of them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use parlance_domain::message::Transition;
use parlance_domain::{ConversationId, Message, MessageId};

pub use crate::model::outcomes::LockedMessage;

use crate::db::tx::{EarlyFence, Sink, Tx};
use crate::error::StorageResult;
use crate::fields::Id;
use crate::fragments::counting::{Deltas, RewriteRow};
use crate::model::delivery_event::DeliveryEvent;
use crate::model::guarded::Guarded;
use crate::model::touched::Touch;
use crate::rows::feed::NewFeedRow;
use crate::rows::message::{MessageChange, MessageRow};
use crate::rows::message_event::NewDeliveryEventRow;

impl Tx {
    /// Locks messages, each after its conversation, and skips those that are locked by another transaction, or that are
    /// in a locked conversation: a transaction that locks many must not wait for one, or everything that it has locked
    /// would wait too.
    pub async fn try_lock_messages(
        &mut self,
        wanted: &[(ConversationId, MessageId)],
    ) -> StorageResult<HashMap<MessageId, LockedMessage>> {
        let conversations: BTreeSet<Id> = wanted.iter().map(|(id, _)| Id::from(*id)).collect();
        let conversations: Vec<Id> = conversations.into_iter().collect();
        let conversations = on_backend!(self.connection, try_conversation_locks(&conversations))?;
        let owner = self.owner.as_str();
        let taken: HashSet<Id> = conversations.iter().copied().collect();
        let users = on!(self.connection, |c, q| q::outcomes::users(
            c,
            owner,
            conversations
        ))?;
        let users: HashMap<Id, String> = users.into_iter().collect();
        let is_taken = |(id, _): &&(ConversationId, MessageId)| taken.contains(&Id::from(*id));
        let ids = wanted.iter().filter(is_taken);
        let ids: Vec<Id> = ids.map(|(_, id)| Id::from(*id)).collect();
        let rows = on!(self.connection, |c, q| q::outcomes::lock(c, owner, ids))?;
        let mut locked = HashMap::with_capacity(rows.len());
        for row in rows {
            // Its conversation is being deleted.
            let Some(user) = users.get(&row.conversation_id) else {
                continue;
            };
            let message = Message::try_from(row)?;
            let user = user.clone();
            locked.insert(message.id, LockedMessage { message, user });
        }
        Ok(locked)
    }

    /// Ends claimed deliveries, each of this attempt, and unblocks the next of their conversation queues. Returns those
    /// that their workers still had: of two attempts at one message, at most one has.
    pub async fn finish_deliveries(
        &mut self,
        deliveries: &[(MessageId, i32)],
    ) -> StorageResult<HashSet<(MessageId, i32)>> {
        let mut by_attempt: BTreeMap<i32, Vec<Id>> = BTreeMap::new();
        for (message, attempt) in deliveries {
            let of_attempt = by_attempt.entry(*attempt).or_default();
            of_attempt.push((*message).into());
        }
        let owner = self.owner.clone();
        let mut finished = HashSet::with_capacity(deliveries.len());
        let mut queues = BTreeSet::new();
        for (attempt, ids) in by_attempt {
            let gone = on!(self.connection, |c, q| q::outcomes::finish(
                c,
                owner.as_str(),
                ids,
                attempt
            ))?;
            for (message, queue) in gone {
                finished.insert((MessageId::from(message), attempt));
                queues.extend(queue);
            }
        }
        let queues: Vec<(Id, i64)> = queues.into_iter().collect();
        if !queues.is_empty()
            && on_backend!(self.connection, unblock_queues(owner.as_str(), &queues))?
        {
            self.note_delivery(self.now);
        }
        Ok(finished)
    }

    /// Appends delivery events.
    pub async fn append_delivery_events(
        &mut self,
        events: &[(MessageId, DeliveryEvent)],
    ) -> StorageResult<()> {
        let row = |(message, event): &(MessageId, DeliveryEvent)| {
            NewDeliveryEventRow::new(&self.owner, *message, event)
        };
        let rows: Vec<_> = events.iter().map(row).collect();
        on!(self.connection, |c, q| q::outcomes::append_events(c, &rows)).map(|_| ())
    }

    /// Writes decisions about locked messages, each with the user of its conversation; `Stale` if one of the messages
    /// has another version. Messages are written back in no other way.
    ///
    /// Every message is put into the change set, even if nothing is written: a repeated event invalidates the cache
    /// again, because the first may have been interrupted before that. With `early` the [fence](Tx::fence_early) is
    /// started before the statements.
    pub async fn store_transitions<S: Sink>(
        &mut self,
        decided: &[(Transition<'_>, &str)],
        early: Option<&Arc<S>>,
    ) -> StorageResult<(Guarded, Option<EarlyFence<S>>)> {
        for (transition, user) in decided {
            let found = transition.found();
            self.touch(Touch::MessageChanged(
                found.id,
                found.conversation_id,
                (*user).to_owned(),
            ));
        }
        let fence = early.map(|sink| self.fence_early(sink));
        let mut rows = Vec::with_capacity(decided.len());
        let mut events: Vec<NewFeedRow> = Vec::with_capacity(decided.len());
        for (transition, user) in decided {
            let Some(changed) = transition.changed() else {
                continue;
            };
            let found = transition.found();
            let row = MessageRow::from(changed);
            events.push(self.event_of_message(transition.kind(), &row, user));
            rows.push(RewriteRow {
                id: row.id,
                found_version: found.version,
                change: MessageChange::from(row),
                deltas: Deltas::of_message(Some(found), Some(changed)),
            });
        }
        if rows.is_empty() {
            return Ok((Guarded::Updated, fence));
        }
        let owner = self.owner.as_str();
        if !on!(self.connection, |c, q| q::outcomes::rewrite(
            c, owner, &rows
        ))? {
            return Ok((Guarded::Stale, fence));
        }
        for (transition, _) in decided {
            if let Some(changed) = transition.changed()
                && changed.body != transition.found().body
            {
                self.index_message(changed).await?;
            }
        }
        on!(self.connection, |c, q| q::feed::append_all(c, &events))?;
        Ok((Guarded::Updated, fence))
    }

    async fn index_message(&mut self, message: &Message) -> StorageResult<()> {
        let Some(conversation) = self.conversation(message.conversation_id).await? else {
            return Ok(());
        };
        let row = self.index_row(message, &conversation.user, &conversation.title);
        on_backend!(self.connection, index(std::slice::from_ref(&row)))
    }
}
