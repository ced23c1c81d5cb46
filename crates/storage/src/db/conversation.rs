//! Conversations.

use parlance_domain::{Channel, Conversation, ConversationId, EventType, Owner, Timestamp};

pub use crate::model::conversation::{ConversationFilter, ListPosition, list_position};

use crate::conn::Database;
use crate::db::tx::Tx;
use crate::error::StorageResult;
use crate::fields::{Id, Instant};
use crate::fragments::counting::{Deltas, MovedMessageCounts};
use crate::model::guarded::Guarded;
use crate::model::touched::Touch;
use crate::rows::conversation::{ConversationChange, ConversationRow};
use crate::rows::feed::{NewFeedRow, payload};

/// Feed events that one statement scrubs.
const SCRUBBED_PER_STATEMENT: i64 = 1_000;
/// Number of messages that one statement moves the counts of.
const MOVED_PER_STATEMENT: i64 = 5_000;

/// Whether a statement scrubbed the maximum number of events, so that there may be more.
fn is_full(scrubbed: usize) -> bool {
    i64::try_from(scrubbed).is_ok_and(|scrubbed| scrubbed >= SCRUBBED_PER_STATEMENT)
}

impl Database {
    /// Returns a conversation of the owner.
    pub async fn conversation(
        &self,
        owner: &Owner,
        id: ConversationId,
    ) -> StorageResult<Option<Conversation>> {
        let row = read!(self, |c, q| q::conversation::get(
            c,
            owner.as_str(),
            id.into()
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Returns a conversation by its external id.
    pub async fn conversation_by_external_id(
        &self,
        owner: &Owner,
        id: &str,
    ) -> StorageResult<Option<Conversation>> {
        let row = read!(self, |c, q| q::conversation::by_external_id(
            c,
            owner.as_str(),
            id
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Returns the owner's conversations, newest first, beyond a position.
    pub async fn conversations(
        &self,
        owner: &Owner,
        filter: &ConversationFilter,
        beyond: Option<ListPosition>,
        limit: i64,
    ) -> StorageResult<Vec<Conversation>> {
        let beyond = beyond.map(|(at, id)| (Instant::from(at), Id::from(id)));
        let rows = read!(self, |c, q| q::conversation_lists::page(
            c,
            owner.as_str(),
            filter,
            beyond,
            limit
        ))?;
        rows.into_iter().map(Conversation::try_from).collect()
    }

    /// Counts the conversations of a list.
    pub async fn count_conversations(
        &self,
        owner: &Owner,
        filter: &ConversationFilter,
    ) -> StorageResult<i64> {
        read!(self, |c, q| q::conversation_lists::count(
            c,
            owner.as_str(),
            filter
        ))
    }

    /// Returns conversations of the whole installation that have no messages and were last active before `before`: up
    /// to `limit`, oldest first, after `after`.
    pub async fn aged_conversations(
        &self,
        before: Timestamp,
        after: Option<&Conversation>,
        limit: i64,
    ) -> StorageResult<Vec<Conversation>> {
        let after = after
            .map(list_position)
            .map(|(at, id)| (at.into(), Id::from(id)));
        let rows = read!(self, |c, q| q::conversation::empty(
            c,
            before.into(),
            after,
            limit
        ))?;
        rows.into_iter().map(Conversation::try_from).collect()
    }

    /// Returns conversations of the whole installation that were hidden before `since` and not removed: interrupted
    /// deletions.
    pub async fn unfinished_deletions(
        &self,
        since: Timestamp,
        limit: i64,
    ) -> StorageResult<Vec<Conversation>> {
        let rows = read!(self, |c, q| q::conversation::hidden(c, since.into(), limit))?;
        rows.into_iter().map(Conversation::try_from).collect()
    }
}

impl Tx {
    /// Locks a conversation of the owner: the first lock of every write that depends on its sequence.
    pub async fn lock_conversation(
        &mut self,
        id: ConversationId,
    ) -> StorageResult<Option<Conversation>> {
        let row = on!(self.connection, |c, q| q::conversation::lock(
            c,
            self.owner.as_str(),
            id.into()
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Locks the conversation of a pair of addresses that is not closed.
    pub async fn lock_conversation_of_pair(
        &mut self,
        channel: Channel,
        ours: &str,
        theirs: &str,
    ) -> StorageResult<Option<Conversation>> {
        let (owner, channel) = (self.owner.as_str(), channel.of_conversation().as_str());
        let row = on!(self.connection, |c, q| q::conversation::lock_pair(
            c, owner, channel, ours, theirs
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Locks a conversation by its external id.
    pub async fn lock_conversation_by_external_id(
        &mut self,
        id: &str,
    ) -> StorageResult<Option<Conversation>> {
        let row = on!(self.connection, |c, q| q::conversation::lock_external_id(
            c,
            self.owner.as_str(),
            id
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Returns a conversation of the owner, unlocked.
    pub async fn conversation(
        &mut self,
        id: ConversationId,
    ) -> StorageResult<Option<Conversation>> {
        let row = on!(self.connection, |c, q| q::conversation::get(
            c,
            self.owner.as_str(),
            id.into()
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Returns the user of a conversation; empty if it has none or does not exist. It cannot change while the caller
    /// has locked the conversation or one of its messages.
    pub async fn user_of(&mut self, id: ConversationId) -> StorageResult<String> {
        let found = self.conversation(id).await?;
        Ok(found.map(|found| found.user).unwrap_or_default())
    }

    /// Returns the conversation of a pair of addresses that is not closed, unlocked.
    pub async fn conversation_of_pair(
        &mut self,
        channel: Channel,
        ours: &str,
        theirs: &str,
    ) -> StorageResult<Option<Conversation>> {
        let (owner, channel) = (self.owner.as_str(), channel.of_conversation().as_str());
        let row = on!(self.connection, |c, q| q::conversation::by_pair(
            c, owner, channel, ours, theirs
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Returns a conversation by its external id, unlocked.
    pub async fn conversation_by_external_id(
        &mut self,
        id: &str,
    ) -> StorageResult<Option<Conversation>> {
        let row = on!(self.connection, |c, q| q::conversation::by_external_id(
            c,
            self.owner.as_str(),
            id
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Inserts a conversation; `false` if its pair or its external id is taken. The caller then starts again and locks
    /// the existing one, and so gets a transaction id after that one's.
    pub async fn insert_conversation(
        &mut self,
        conversation: &Conversation,
    ) -> StorageResult<bool> {
        let row = ConversationRow::from(conversation);
        let deltas = Deltas::of_conversation(None, Some(conversation));
        if !on!(self.connection, |c, q| q::conversation::insert(
            c, &row, &deltas
        ))? {
            return Ok(false);
        }
        self.touch(Touch::ConversationCreated(
            conversation.id,
            conversation.user.clone(),
        ));
        self.append_conversation_event(EventType::ConversationCreated, &row)
            .await?;
        Ok(true)
    }

    /// Writes a conversation back. `announced` unless the only change is the new end of the sequence for a new message.
    pub async fn update_conversation(
        &mut self,
        found: &Conversation,
        changed: &Conversation,
        announced: bool,
    ) -> StorageResult<Guarded> {
        let row = ConversationRow::from(changed);
        let change = ConversationChange::from(row.clone());
        let deltas = Deltas::of_conversation(Some(found), Some(changed));
        if !on!(self.connection, |c, q| q::conversation::update(
            c,
            self.owner.as_str(),
            row.id,
            found.version,
            &change,
            &deltas
        ))? {
            return Ok(Guarded::Stale);
        }
        self.touch(Touch::ConversationChanged(changed.id, changed.user.clone()));
        if found.user != changed.user {
            self.touch(Touch::ConversationChanged(changed.id, found.user.clone()));
            self.move_messages(found, Some(&changed.user)).await?;
        }
        if found.user != changed.user || found.title != changed.title {
            self.index_below(changed, i64::MAX).await?;
        }
        if announced {
            self.append_conversation_event(EventType::ConversationUpdated, &row)
                .await?;
        }
        Ok(Guarded::Updated)
    }

    /// Hides a conversation and withdraws its waiting deliveries. Its messages, and the feed's copies of it and of
    /// them, are removed afterwards in batches.
    pub async fn hide_conversation(
        &mut self,
        conversation: &Conversation,
    ) -> StorageResult<Guarded> {
        let id = Id::from(conversation.id);
        let (owner, now) = (self.owner.clone(), self.now);
        let hidden = on!(self.connection, |c, q| q::conversation::hide(
            c,
            owner.as_str(),
            id,
            now.into()
        ))?;
        let Some(hidden) = hidden.map(Conversation::try_from).transpose()? else {
            return Ok(Guarded::Stale);
        };
        // From now on its messages do not count, though they still exist; [`Deltas`] skips the messages of a hidden
        // conversation.
        let deltas = Deltas::of_conversation(Some(&hidden), None);
        on!(self.connection, |c, q| q::stats::append(c, &deltas))?;
        self.move_messages(&hidden, None).await?;
        self.touch(Touch::ConversationDeleted(
            conversation.id,
            conversation.user.clone(),
        ));
        on!(self.connection, |c, q| q::delivery::delete_of_conversation(
            c,
            owner.as_str(),
            id
        ))?;
        let gone = NewFeedRow::new(
            &owner,
            EventType::ConversationDeleted,
            (id, None),
            &conversation.user,
            None,
            now,
        );
        on!(self.connection, |c, q| q::feed::append(c, &gone))?;
        Ok(Guarded::Updated)
    }

    /// Removes a hidden conversation after its messages.
    pub async fn remove_hidden_conversation(
        &mut self,
        conversation: &Conversation,
    ) -> StorageResult<Guarded> {
        let id = Id::from(conversation.id);
        self.touch(Touch::ConversationDeleted(
            conversation.id,
            conversation.user.clone(),
        ));
        if !on!(self.connection, |c, q| q::conversation::remove_hidden(
            c,
            self.owner.as_str(),
            id
        ))? {
            return Ok(Guarded::Stale);
        }
        // A write that was running when it was hidden may have appended an event since.
        while self.scrub_hidden_conversation(conversation).await? {}
        Ok(Guarded::Updated)
    }

    /// Scrubs a batch of the feed's copies of a hidden conversation itself; returns whether there may be more.
    pub async fn scrub_hidden_conversation(
        &mut self,
        conversation: &Conversation,
    ) -> StorageResult<bool> {
        let (owner, id) = (self.owner.clone(), Id::from(conversation.id));
        let scrubbed = on_backend!(
            self.connection,
            scrub_conversation(owner.as_str(), id, SCRUBBED_PER_STATEMENT)
        )?;
        Ok(is_full(scrubbed))
    }

    /// Scrubs the feed's copies of removed messages, a batch by each statement.
    pub(crate) async fn scrub_messages(&mut self, messages: &[Id]) -> StorageResult<()> {
        let owner = self.owner.clone();
        while is_full(on_backend!(
            self.connection,
            scrub_messages(owner.as_str(), messages, SCRUBBED_PER_STATEMENT)
        )?) {}
        Ok(())
    }

    /// Moves the counts of a conversation's messages to another user, or removes them, a batch by each statement.
    async fn move_messages(&mut self, found: &Conversation, to: Option<&str>) -> StorageResult<()> {
        let (owner, id) = (self.owner.clone(), Id::from(found.id));
        let mut above = 0;
        loop {
            let last = on!(self.connection, |c, q| q::message::sequence_after(
                c,
                owner.as_str(),
                id,
                above,
                MOVED_PER_STATEMENT
            ))?;
            let up_to = last.unwrap_or(i64::MAX);
            on!(self.connection, |c, q| q::stats::move_messages(
                c,
                MovedMessageCounts::new(found, (above, up_to), to)
            ))?;
            if last.is_none() {
                return Ok(());
            }
            above = up_to;
        }
    }

    async fn append_conversation_event(
        &mut self,
        kind: EventType,
        row: &ConversationRow,
    ) -> StorageResult<()> {
        let event = NewFeedRow::new(
            &self.owner,
            kind,
            (row.id, None),
            &row.user_label,
            payload(row),
            self.now,
        );
        on!(self.connection, |c, q| q::feed::append(c, &event))
    }
}
