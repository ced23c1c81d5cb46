//! Messages.

use std::time::Duration;

use parlance_domain::{
    Conversation, ConversationId, Direction, EventType, Message, MessageId, Owner, Timestamp,
};

pub use crate::model::message::{AgedMessage, MessageRange};

use crate::conn::Database;
use crate::db::tx::Tx;
use crate::error::StorageResult;
use crate::fields::{Id, Instant};
use crate::fragments::counting::Deltas;
use crate::model::guarded::Guarded;
use crate::model::touched::Touch;
use crate::rows::feed::{NewFeedRow, payload};
use crate::rows::message::{MessageRow, RemovalRow};

/// Unread messages that one statement counts.
const COUNTED_PER_STATEMENT: i64 = 5_000;

/// Number of messages that one statement reads the times of.
const TIMES_PER_STATEMENT: i64 = 1_000;
/// Bound within which messages of one conversation may have been written in another order than their ids were
/// generated: instances have different clocks, and a writer waits for the conversation lock.
const MAX_WRITE_SKEW: Duration = Duration::from_mins(10);

/// Bytes of text that one transaction removes with messages; it may remove slightly more.
const BYTES_PER_TRANSACTION: i64 = 8 * 1024 * 1024;

/// Returns the first rows until they reach the number of bytes; at least one.
fn within(bytes: i64, found: Vec<RemovalRow>) -> Vec<RemovalRow> {
    let mut left = bytes;
    let fitting = found.into_iter().take_while(|one| {
        let fits = left > 0;
        left = left.saturating_sub(one.bytes);
        fits
    });
    fitting.collect()
}

fn aged(
    (owner, conversation, id, created_at): (String, Id, Id, Instant),
) -> StorageResult<AgedMessage> {
    Ok(AgedMessage {
        owner: crate::rows::owner("messages", &owner, id.0)?,
        conversation_id: conversation.into(),
        id: id.into(),
        created_at: created_at.into(),
    })
}

impl Database {
    /// Returns a message of the owner.
    pub async fn message(&self, owner: &Owner, id: MessageId) -> StorageResult<Option<Message>> {
        let row = read!(self, |c, q| q::message::get(c, owner.as_str(), id.into()))?;
        row.map(Message::try_from).transpose()
    }

    /// Returns a message by its provider's id.
    pub async fn message_by_provider_id(
        &self,
        owner: &Owner,
        provider: &str,
        provider_message_id: &str,
    ) -> StorageResult<Option<Message>> {
        let row = read!(self, |c, q| q::message::by_provider(
            c,
            owner.as_str(),
            provider,
            provider_message_id
        ))?;
        row.map(Message::try_from).transpose()
    }

    /// Returns those messages of these ids that exist, in no order.
    pub async fn messages(&self, owner: &Owner, ids: &[MessageId]) -> StorageResult<Vec<Message>> {
        let ids: Vec<Id> = ids.iter().copied().map(Id::from).collect();
        let rows = read!(self, |c, q| q::message::batch(
            c,
            owner.as_str(),
            ids.clone()
        ))?;
        rows.into_iter().map(Message::try_from).collect()
    }

    /// Returns messages of the whole installation that a provider has, or may have, accepted and has not reported
    /// about, after `after`.
    pub async fn open_messages(
        &self,
        provider: &str,
        after: Option<MessageId>,
        limit: i64,
    ) -> StorageResult<Vec<Message>> {
        let after = after.map(Id::from);
        let rows = read!(self, |c, q| q::message::open(c, provider, after, limit))?;
        rows.into_iter().map(Message::try_from).collect()
    }

    /// Returns messages of a conversation in a range of its sequence.
    pub async fn message_page(
        &self,
        owner: &Owner,
        conversation: ConversationId,
        range: MessageRange,
        limit: i64,
    ) -> StorageResult<Vec<Message>> {
        let conversation = Id::from(conversation);
        let rows = read!(self, |c, q| q::message::page(
            c,
            owner.as_str(),
            conversation,
            range,
            limit
        ))?;
        rows.into_iter().map(Message::try_from).collect()
    }

    /// Returns messages of the whole installation that are not under way and were created before `before`: up to
    /// `limit`, oldest first, after `after`.
    pub async fn aged_messages(
        &self,
        before: Timestamp,
        after: Option<&AgedMessage>,
        limit: i64,
    ) -> StorageResult<Vec<AgedMessage>> {
        let after = after.map(|one| (one.created_at.into(), Id::from(one.id)));
        let rows = read!(self, |c, q| q::message::aged(
            c,
            before.into(),
            after,
            limit
        ))?;
        rows.into_iter().map(aged).collect()
    }

    /// Counts the messages of a conversation between two sequences, inclusive.
    pub async fn messages_between(
        &self,
        owner: &Owner,
        conversation: ConversationId,
        range: (i64, i64),
    ) -> StorageResult<i64> {
        let conversation = Id::from(conversation);
        read!(self, |c, q| q::message::count_between(
            c,
            owner.as_str(),
            conversation,
            range
        ))
    }
}

impl Tx {
    /// Returns a message of the owner, unlocked.
    pub async fn message(&mut self, id: MessageId) -> StorageResult<Option<Message>> {
        let row = on!(self.connection, |c, q| q::message::get(
            c,
            self.owner.as_str(),
            id.into()
        ))?;
        row.map(Message::try_from).transpose()
    }

    /// Returns a message by its provider's id, unlocked.
    pub async fn message_by_provider_id(
        &mut self,
        provider: &str,
        id: &str,
    ) -> StorageResult<Option<Message>> {
        let row = on!(self.connection, |c, q| q::message::by_provider(
            c,
            self.owner.as_str(),
            provider,
            id
        ))?;
        row.map(Message::try_from).transpose()
    }

    /// Locks a message of the owner; after its conversation, if both are locked.
    pub async fn lock_message(&mut self, id: MessageId) -> StorageResult<Option<Message>> {
        let row = on!(self.connection, |c, q| q::message::lock(
            c,
            self.owner.as_str(),
            id.into()
        ))?;
        row.map(Message::try_from).transpose()
    }

    /// Counts the messages above a sequence that count as unread, a batch by each statement.
    pub async fn unread_above(
        &mut self,
        conversation: ConversationId,
        mut sequence: i64,
    ) -> StorageResult<i64> {
        let id = Id::from(conversation);
        let mut unread = 0;
        loop {
            let sequences = on!(self.connection, |c, q| q::message::unread_above(
                c,
                self.owner.as_str(),
                id,
                sequence,
                COUNTED_PER_STATEMENT
            ))?;
            let count = i64::try_from(sequences.len()).unwrap_or(i64::MAX);
            unread += count;
            match sequences.last() {
                Some(last) if count >= COUNTED_PER_STATEMENT => sequence = *last,
                Some(_) | None => return Ok(unread),
            }
        }
    }

    /// Returns the sequence of the last inbound message.
    pub async fn last_inbound(
        &mut self,
        conversation: ConversationId,
    ) -> StorageResult<Option<i64>> {
        on!(self.connection, |c, q| q::message::last_inbound(
            c,
            self.owner.as_str(),
            conversation.into()
        ))
    }

    /// Returns the newest creation time of the remaining messages. A provider may deliver a message late, so that the
    /// newest need not have the highest sequence. It is among the last that were written, except in imported
    /// conversations, where the import sets the creation times: there all messages are read, a batch by each statement.
    pub async fn newest_message_time(
        &mut self,
        conversation: ConversationId,
    ) -> StorageResult<Option<Timestamp>> {
        let any_time = self.imported(conversation).await?.is_some();
        let id = Id::from(conversation);
        let (mut newest, mut below) = (None, i64::MAX);
        loop {
            let times = on!(self.connection, |c, q| q::message::times_below(
                c,
                self.owner.as_str(),
                id,
                below,
                TIMES_PER_STATEMENT
            ))?;
            newest = newest.max(
                times
                    .iter()
                    .map(|(_, _, made)| Timestamp::from(*made))
                    .max(),
            );
            let full = i64::try_from(times.len()).is_ok_and(|found| found >= TIMES_PER_STATEMENT);
            let Some((sequence, last, _)) = times.last().filter(|_| full) else {
                return Ok(newest);
            };
            let written = MessageId::from(*last).time();
            if !any_time && newest >= Some(written.plus(MAX_WRITE_SKEW)) {
                return Ok(newest);
            }
            below = *sequence;
        }
    }

    /// Inserts a message at the end of its conversation, which the caller has locked and updated.
    pub async fn insert_message(
        &mut self,
        message: &Message,
        conversation: &Conversation,
    ) -> StorageResult<()> {
        let row = MessageRow::from(message);
        let deltas = Deltas::of_message(None, Some(message));
        on!(self.connection, |c, q| q::message::insert(c, &row, &deltas))?;
        self.touch(Touch::MessageCreated(
            Box::new(message.clone()),
            conversation.user.clone(),
        ));
        let event = self.event_of_message(EventType::MessageCreated, &row, &conversation.user);
        let index_row = self.index_row(message, &conversation.user, &conversation.title);
        on_backend!(self.connection, index_and_append(&index_row, &event))
    }

    /// Removes a message, its delivery and the feed's copies, unless it is being handed over. Its attachments are
    /// detached, and their content is pruned in the background: it may be more than one transaction should remove.
    pub async fn delete_message(&mut self, found: &Message, user: &str) -> StorageResult<Guarded> {
        let (owner, now) = (self.owner.clone(), self.now);
        let (conversation, id) = (Id::from(found.conversation_id), Id::from(found.id));
        let deltas = Deltas::of_message(Some(found), None);
        if !found.attachments.is_empty() {
            on!(self.connection, |c, q| q::attachment::detach(
                c,
                owner.as_str(),
                id,
                found.version
            ))?;
        }
        if !on!(self.connection, |c, q| q::message::delete(
            c,
            owner.as_str(),
            id,
            found.version,
            &deltas
        ))? {
            return Ok(Guarded::Stale);
        }
        self.record_deletion(found).await?;
        self.touch(Touch::MessageDeleted(
            found.id,
            found.conversation_id,
            user.to_owned(),
        ));
        self.scrub_messages(&[id]).await?;
        let gone = NewFeedRow::new(
            &owner,
            EventType::MessageDeleted,
            (conversation, Some(id)),
            user,
            None,
            now,
        );
        on!(self.connection, |c, q| q::feed::append(c, &gone))?;
        Ok(Guarded::Updated)
    }

    /// Removes up to `limit` messages of a hidden conversation, and fewer if they are large; returns how many. Their
    /// attachments are detached, as by [`Self::delete_message`].
    pub async fn delete_some_messages(
        &mut self,
        hidden: &Conversation,
        limit: i64,
    ) -> StorageResult<usize> {
        let (owner, id) = (self.owner.clone(), Id::from(hidden.id));
        let found = on!(self.connection, |c, q| q::message::some_of(
            c,
            owner.as_str(),
            id,
            limit
        ))?;
        let batch = within(BYTES_PER_TRANSACTION, found);
        if batch.is_empty() {
            return Ok(0);
        }
        let ids: Vec<Id> = batch.iter().map(|one| one.id).collect();
        let received = batch
            .into_iter()
            .filter(|one| one.direction == Direction::Inbound.as_str());
        let names = received.filter_map(|one| one.provider.zip(one.provider_message_id));
        self.record_deletions(names.collect()).await?;
        for id in &ids {
            self.touch(Touch::MessageDeleted(
                (*id).into(),
                hidden.id,
                hidden.user.clone(),
            ));
        }
        on!(self.connection, |c, q| q::attachment::detach_all(
            c,
            owner.as_str(),
            ids.iter().copied().map(Some).collect()
        ))?;
        let removed = on!(self.connection, |c, q| q::message::delete_all(
            c,
            owner.as_str(),
            ids.clone()
        ))?;
        self.scrub_messages(&ids).await?;
        Ok(removed)
    }

    pub(crate) fn event_of_message(
        &self,
        kind: EventType,
        row: &MessageRow,
        user: &str,
    ) -> NewFeedRow {
        NewFeedRow::new(
            &self.owner,
            kind,
            (row.conversation_id, Some(row.id)),
            user,
            payload(row),
            self.now,
        )
    }
}
