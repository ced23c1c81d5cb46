//! What came of hand-overs, many at once: a few statements serve them all, however many they are.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use parlance_domain::{ConversationId, EventType, Message, MessageId};

use super::delivery_event::{DeliveryEvent, story_row};
use crate::counting::Deltas;
use crate::error::StorageResult;
use crate::fields::Id;
use crate::rows::feed::NewFeedRow;
use crate::rows::message::{MessageChange, MessageRow};
use crate::touched::Touch;
use crate::tx::{Guarded, Tx};

/// A message that is locked.
#[derive(Debug, Clone, PartialEq)]
pub struct LockedMessage {
    /// It.
    pub message: Message,
    /// Whose its conversation is.
    pub user: String,
}

/// A message that is written back: all of it but its body has changed, for the index of words is not told.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewrite {
    /// As it was locked.
    pub found: LockedMessage,
    /// As it becomes.
    pub changed: Message,
    /// What that is.
    pub kind: EventType,
}

/// The same as a row.
pub(crate) struct RewriteRow {
    pub(crate) id: Id,
    pub(crate) found_version: i64,
    pub(crate) change: MessageChange,
    pub(crate) deltas: Deltas,
}

impl Tx {
    /// Locks messages, each after its conversation, as far as nobody else has either just now: whoever locks many must wait for
    /// none, or all that they hold would wait with him.
    pub async fn try_lock_messages(
        &mut self,
        wanted: &[(ConversationId, MessageId)],
    ) -> StorageResult<HashMap<MessageId, LockedMessage>> {
        let turns: BTreeSet<_> = wanted.iter().map(|(turn, _)| turn.uuid()).collect();
        let turns: Vec<Id> = turns.into_iter().map(Id).collect();
        let turns = on_backend!(self.lease, try_turns(&turns))?;
        let owner = self.owner.as_str();
        let taken: HashSet<_> = turns.iter().map(|turn| turn.0).collect();
        let users = on!(self.lease, |c, q| q::outcomes::users(c, owner, turns))?;
        let users: HashMap<Id, String> = users.into_iter().collect();
        let in_turn = |(turn, _): &&(ConversationId, MessageId)| taken.contains(&turn.uuid());
        let ids = wanted.iter().filter(in_turn);
        let ids: Vec<Id> = ids.map(|(_, id)| Id(id.uuid())).collect();
        let rows = on!(self.lease, |c, q| q::outcomes::lock(c, owner, ids))?;
        let mut locked = HashMap::with_capacity(rows.len());
        for row in rows {
            // Somebody is deleting its conversation.
            let Some(user) = users.get(&row.conversation_id) else {
                continue;
            };
            let message = Message::try_from(row)?;
            let user = user.clone();
            locked.insert(message.id, LockedMessage { message, user });
        }
        Ok(locked)
    }

    /// Ends claimed jobs, each of this attempt, and frees the next of their lines; those whose workers still had them, for of two
    /// attempts at one message one at most has.
    pub async fn finish_deliveries(
        &mut self,
        jobs: &[(MessageId, i32)],
    ) -> StorageResult<HashSet<(MessageId, i32)>> {
        let mut by_attempt: BTreeMap<i32, Vec<Id>> = BTreeMap::new();
        for (message, attempt) in jobs {
            let of_attempt = by_attempt.entry(*attempt).or_default();
            of_attempt.push(Id(message.uuid()));
        }
        let owner = self.owner.clone();
        let mut finished = HashSet::with_capacity(jobs.len());
        let mut lines = BTreeSet::new();
        for (attempt, ids) in by_attempt {
            let gone = on!(self.lease, |c, q| q::outcomes::finish(
                c,
                owner.as_str(),
                ids,
                attempt
            ))?;
            for (message, line) in gone {
                finished.insert((MessageId::from_uuid(message.0), attempt));
                lines.extend(line.map(|(conversation, generation)| (conversation.0, generation)));
            }
        }
        let lines: Vec<_> = lines.into_iter().map(|(line, of)| (Id(line), of)).collect();
        if !lines.is_empty() && on_backend!(self.lease, free_lines(owner.as_str(), &lines))? {
            self.note_job(self.now);
        }
        Ok(finished)
    }

    /// Adds lines to messages' stories.
    pub async fn append_delivery_events(
        &mut self,
        lines: &[(MessageId, DeliveryEvent)],
    ) -> StorageResult<()> {
        let row = |(message, event): &(MessageId, DeliveryEvent)| {
            story_row(self.owner.as_str(), *message, event)
        };
        let rows: Vec<_> = lines.iter().map(row).collect();
        on!(self.lease, |c, q| q::outcomes::tell(c, &rows)).map(|_| ())
    }

    /// Writes messages back; `Stale` if one of them has moved on since.
    pub async fn rewrite_messages(&mut self, rewrites: &[Rewrite]) -> StorageResult<Guarded> {
        let mut rows = Vec::with_capacity(rewrites.len());
        let mut events: Vec<NewFeedRow> = Vec::with_capacity(rewrites.len());
        for Rewrite {
            found: LockedMessage { message, user },
            changed,
            kind,
        } in rewrites
        {
            let row = MessageRow::from(changed);
            events.push(self.event_of_message(*kind, &row, user));
            rows.push(RewriteRow {
                id: row.id,
                found_version: message.version,
                change: MessageChange::from(row),
                deltas: Deltas::of_message(Some(message), Some(changed)),
            });
        }
        let owner = self.owner.as_str();
        if !on!(self.lease, |c, q| q::outcomes::rewrite(c, owner, &rows))? {
            return Ok(Guarded::Stale);
        }
        for Rewrite { found, changed, .. } in rewrites {
            self.touch(Touch::MessageChanged(
                changed.id,
                changed.conversation_id,
                found.user.clone(),
            ));
        }
        on!(self.lease, |c, q| q::feed::append_all(c, &events))?;
        Ok(Guarded::Updated)
    }
}
