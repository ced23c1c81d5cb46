//! Conversations.

use parlance_domain::{
    Channel, Conversation, ConversationId, ConversationStatus, EventType, Owner, Timestamp,
};

use super::news;
use crate::conn::Database;
use crate::counting::{Deltas, MessagesOf};
use crate::error::StorageResult;
use crate::fields::{Id, Instant};
use crate::rows::conversation::{ConversationChange, ConversationRow};
use crate::rows::feed::payload;
use crate::touched::Touch;
use crate::tx::{Guarded, Tx};

/// Which conversations a list shows; `None` is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConversationFilter {
    /// Whose. What is nobody's cannot be asked for.
    pub user: Option<String>,
    /// On which channel.
    pub channel: Option<Channel>,
    /// In which state.
    pub status: Option<ConversationStatus>,
    /// Only those with unread messages.
    pub unread_only: bool,
    /// With this address, ours or theirs, in canonical form.
    pub participant: Option<String>,
}

/// Events that one statement clears.
const SCRUBBED: i64 = 1_000;
/// Messages that one statement counts anew.
const MOVED: i64 = 5_000;

/// Whether a statement cleared as many events as it may, so that there may be more.
fn is_full(scrubbed: usize) -> bool {
    i64::try_from(scrubbed).is_ok_and(|scrubbed| scrubbed >= SCRUBBED)
}

/// The place of a conversation in a list: when it was last active, and which it is.
pub type ListPosition = (Timestamp, ConversationId);

/// Where a conversation stands in lists.
pub fn list_position(conversation: &Conversation) -> ListPosition {
    (
        conversation
            .last_message_at
            .unwrap_or(conversation.created_at),
        conversation.id,
    )
}

impl Database {
    /// A conversation of the owner.
    pub async fn conversation(
        &self,
        owner: &Owner,
        id: ConversationId,
    ) -> StorageResult<Option<Conversation>> {
        let row = read!(self, |c, q| q::conversation::get(
            c,
            owner.as_str(),
            Id(id.uuid())
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// A conversation by the owner's own name for it.
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

    /// The owner's conversations, newest first, beyond a place.
    pub async fn conversations(
        &self,
        owner: &Owner,
        filter: &ConversationFilter,
        beyond: Option<ListPosition>,
        limit: i64,
    ) -> StorageResult<Vec<Conversation>> {
        let beyond = beyond.map(|(at, id)| (Instant::from(at), Id(id.uuid())));
        let rows = read!(self, |c, q| q::conversation_lists::page(
            c,
            owner.as_str(),
            filter,
            beyond,
            limit
        ))?;
        rows.into_iter().map(Conversation::try_from).collect()
    }

    /// How many conversations a list has.
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

    /// Conversations of the whole installation that have no messages and were last active before a moment: up to `limit`,
    /// oldest first, after one of them.
    pub async fn aged_conversations(
        &self,
        before: Timestamp,
        after: Option<&Conversation>,
        limit: i64,
    ) -> StorageResult<Vec<Conversation>> {
        let after = after
            .map(list_position)
            .map(|(at, id)| (at.into(), Id(id.uuid())));
        let rows = read!(self, |c, q| q::conversation::empty(
            c,
            before.into(),
            after,
            limit
        ))?;
        rows.into_iter().map(Conversation::try_from).collect()
    }

    /// Conversations of the whole installation whose deletion was cut off before `since`.
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
    /// Locks a conversation of the owner: the first lock of a write that has to do with its sequence.
    pub async fn lock_conversation(
        &mut self,
        id: ConversationId,
    ) -> StorageResult<Option<Conversation>> {
        let row = on!(self.lease, |c, q| q::conversation::lock(
            c,
            self.owner.as_str(),
            Id(id.uuid())
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
        let row = on!(self.lease, |c, q| q::conversation::lock_pair(
            c, owner, channel, ours, theirs
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Locks a conversation by the owner's own name for it.
    pub async fn lock_conversation_by_external_id(
        &mut self,
        id: &str,
    ) -> StorageResult<Option<Conversation>> {
        let row = on!(self.lease, |c, q| q::conversation::lock_external_id(
            c,
            self.owner.as_str(),
            id
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// A conversation of the owner, unlocked.
    pub async fn conversation(
        &mut self,
        id: ConversationId,
    ) -> StorageResult<Option<Conversation>> {
        let row = on!(self.lease, |c, q| q::conversation::get(
            c,
            self.owner.as_str(),
            Id(id.uuid())
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Whose a conversation is; nobody's if it is not there. It stays so for whoever has locked it or one of its messages.
    pub async fn user_of(&mut self, id: ConversationId) -> StorageResult<String> {
        let found = self.conversation(id).await?;
        Ok(found.map(|found| found.user).unwrap_or_default())
    }

    /// The conversation of a pair of addresses that is not closed, unlocked.
    pub async fn conversation_of_pair(
        &mut self,
        channel: Channel,
        ours: &str,
        theirs: &str,
    ) -> StorageResult<Option<Conversation>> {
        let (owner, channel) = (self.owner.as_str(), channel.of_conversation().as_str());
        let row = on!(self.lease, |c, q| q::conversation::by_pair(
            c, owner, channel, ours, theirs
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// A conversation by the owner's own name for it, unlocked.
    pub async fn conversation_by_external_id(
        &mut self,
        id: &str,
    ) -> StorageResult<Option<Conversation>> {
        let row = on!(self.lease, |c, q| q::conversation::by_external_id(
            c,
            self.owner.as_str(),
            id
        ))?;
        row.map(Conversation::try_from).transpose()
    }

    /// Whether it was inserted; `false` if its pair or its external id is taken. The caller then begins anew, locks the one
    /// that took it and so gets a transaction id after that one's.
    pub async fn insert_conversation(
        &mut self,
        conversation: &Conversation,
    ) -> StorageResult<bool> {
        let row = ConversationRow::from(conversation);
        let deltas = Deltas::of_conversation(None, Some(conversation));
        if !on!(self.lease, |c, q| q::conversation::insert(c, &row, &deltas))? {
            return Ok(false);
        }
        self.touch(Touch::ConversationCreated(
            conversation.id,
            conversation.user.clone(),
        ));
        self.tell_of_conversation(EventType::ConversationCreated, &row)
            .await?;
        Ok(true)
    }

    /// Writes a conversation back. `announced` unless the change is only the place that a new message takes.
    pub async fn update_conversation(
        &mut self,
        found: &Conversation,
        changed: &Conversation,
        announced: bool,
    ) -> StorageResult<Guarded> {
        let row = ConversationRow::from(changed);
        let change = ConversationChange::from(row.clone());
        let deltas = Deltas::of_conversation(Some(found), Some(changed));
        if !on!(self.lease, |c, q| q::conversation::update(
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
            self.tell_of_conversation(EventType::ConversationUpdated, &row)
                .await?;
        }
        Ok(Guarded::Updated)
    }

    /// Hides a conversation and takes back what still waits to leave. Its messages, and the feed's copies of it and of them, are
    /// removed afterwards in batches.
    pub async fn hide_conversation(
        &mut self,
        conversation: &Conversation,
    ) -> StorageResult<Guarded> {
        let id = Id(conversation.id.uuid());
        let (owner, now) = (self.owner.clone(), self.now);
        let hidden = on!(self.lease, |c, q| q::conversation::hide(
            c,
            owner.as_str(),
            id,
            now.into()
        ))?;
        let Some(hidden) = hidden.map(Conversation::try_from).transpose()? else {
            return Ok(Guarded::Stale);
        };
        // From now on its messages do not count, though they are still there; whoever writes one of them knows.
        let deltas = Deltas::of_conversation(Some(&hidden), None);
        on!(self.lease, |c, q| q::stats::append(c, &deltas))?;
        self.move_messages(&hidden, None).await?;
        self.touch(Touch::ConversationDeleted(
            conversation.id,
            conversation.user.clone(),
        ));
        on!(self.lease, |c, q| q::delivery::delete_of_conversation(
            c,
            owner.as_str(),
            id
        ))?;
        let gone = news(
            &owner,
            EventType::ConversationDeleted,
            (id, None),
            &conversation.user,
            None,
            now,
        );
        on!(self.lease, |c, q| q::feed::append(c, &gone))?;
        Ok(Guarded::Updated)
    }

    /// Removes a hidden conversation whose messages are gone.
    pub async fn remove_hidden_conversation(
        &mut self,
        conversation: &Conversation,
    ) -> StorageResult<Guarded> {
        let id = Id(conversation.id.uuid());
        self.touch(Touch::ConversationDeleted(
            conversation.id,
            conversation.user.clone(),
        ));
        if !on!(self.lease, |c, q| q::conversation::remove_hidden(
            c,
            self.owner.as_str(),
            id
        ))? {
            return Ok(Guarded::Stale);
        }
        // What was under way when it was hidden may have appended an event since.
        while self.scrub_hidden_conversation(conversation).await? {}
        Ok(Guarded::Updated)
    }

    /// Clears a batch of the feed's copies of a hidden conversation itself; whether there may be more.
    pub async fn scrub_hidden_conversation(
        &mut self,
        conversation: &Conversation,
    ) -> StorageResult<bool> {
        let (owner, id) = (self.owner.clone(), Id(conversation.id.uuid()));
        let scrubbed = on_backend!(self.lease, scrub_conversation(owner.as_str(), id, SCRUBBED))?;
        Ok(is_full(scrubbed))
    }

    /// Clears the feed's copies of messages that are gone, some by each statement.
    pub(crate) async fn scrub_messages(&mut self, messages: &[Id]) -> StorageResult<()> {
        let owner = self.owner.clone();
        while is_full(on_backend!(
            self.lease,
            scrub_messages(owner.as_str(), messages, SCRUBBED)
        )?) {}
        Ok(())
    }

    /// Counts the messages of a conversation for another user, or for no user any more, some by each statement.
    async fn move_messages(&mut self, found: &Conversation, to: Option<&str>) -> StorageResult<()> {
        let (owner, id) = (self.owner.clone(), Id(found.id.uuid()));
        let mut above = 0;
        loop {
            let last = on!(self.lease, |c, q| q::message::sequence_after(
                c,
                owner.as_str(),
                id,
                above,
                MOVED
            ))?;
            let up_to = last.unwrap_or(i64::MAX);
            on!(self.lease, |c, q| q::stats::move_messages(
                c,
                MessagesOf::moving(found, (above, up_to), to)
            ))?;
            if last.is_none() {
                return Ok(());
            }
            above = up_to;
        }
    }

    async fn tell_of_conversation(
        &mut self,
        kind: EventType,
        row: &ConversationRow,
    ) -> StorageResult<()> {
        let event = news(
            &self.owner,
            kind,
            (row.id, None),
            &row.user_label,
            payload(row),
            self.now,
        );
        on!(self.lease, |c, q| q::feed::append(c, &event))
    }
}
