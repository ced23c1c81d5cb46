//! Imports of old conversations.
//!
//! Old messages are written like all others, at the end of their conversation and under its lock, with their counters
//! and their entries in the search index, but many at a time and without a delivery. For each conversation the number
//! of its imported messages is stored, so that a repeated import adds only what is missing.

use parlance_domain::{Conversation, ConversationId, Direction, EventType, Json, Timestamp};

pub use crate::model::import::{ComparableMessage, ExistingConversation, Import};

use crate::db::tx::Tx;
use crate::error::{StorageError, StorageResult};
use crate::fields::{Id, Instant};
use crate::fragments::counting::Deltas;
use crate::fragments::prepared::portions;
use crate::model::guarded::Guarded;
use crate::model::touched::Touch;
use crate::rows::conversation::ConversationRow;
use crate::rows::feed::{NewFeedRow, payload};
use crate::rows::import::{ComparableRow, ImportRow};
use crate::rows::message::{MessageRow, OtherFields};
use crate::rows::stats::{of_conversation, of_message};

impl Tx {
    /// Returns the existing conversations with these external ids, unlocked, in no order.
    pub async fn existing_conversations(
        &mut self,
        external_ids: &[String],
    ) -> StorageResult<Vec<ExistingConversation>> {
        let rows = on!(self.connection, |c, q| q::import::existing(
            c,
            self.owner.as_str(),
            external_ids.to_vec()
        ))?;
        let known = |(row, imported): (ConversationRow, Option<i64>)| {
            Ok(ExistingConversation {
                conversation: row.try_into()?,
                imported,
            })
        };
        rows.into_iter().map(known).collect()
    }

    /// Returns how many messages of a conversation were imported; `None` if it was not part of an import.
    pub async fn imported(&mut self, id: ConversationId) -> StorageResult<Option<i64>> {
        on!(self.connection, |c, q| q::import::progress(
            c,
            self.owner.as_str(),
            id.into()
        ))
    }

    /// Returns the messages of a conversation that were created at one of these times.
    pub async fn messages_created_at(
        &mut self,
        id: ConversationId,
        times: &[Timestamp],
    ) -> StorageResult<Vec<ComparableMessage>> {
        let times: Vec<Instant> = times.iter().copied().map(Into::into).collect();
        let rows = on!(self.connection, |c, q| q::import::created_at(
            c,
            self.owner.as_str(),
            id.into(),
            times.clone()
        ))?;
        rows.into_iter()
            .map(|row| comparable(row, id.into()))
            .collect()
    }

    /// Writes old conversations and their messages. Returns `Stale` if the pair or the external id of one is taken, or
    /// one has another version; the transaction must then be rolled back. New conversations must be in the order of
    /// their external ids: two imports of the same conversations then wait for one another without a deadlock.
    ///
    /// A new conversation is one event, and so is an existing one that gets messages; the messages are none.
    pub async fn import(&mut self, imports: &[Import]) -> StorageResult<Guarded> {
        for import in imports {
            if let Some(found) = &import.found
                && self.complete(found, &import.conversation).await? == Guarded::Stale
            {
                return Ok(Guarded::Stale);
            }
        }
        if self.insert_new(imports).await? == Guarded::Stale {
            return Ok(Guarded::Stale);
        }
        let progress: Vec<ImportRow> = imports
            .iter()
            .map(|import| ImportRow {
                conversation_id: import.conversation.id.into(),
                owner: self.owner.as_str().to_owned(),
                messages: import.imported,
            })
            .collect();
        on!(self.connection, |c, q| q::import::set_progress(
            c, &progress
        ))?;
        self.insert_messages(imports).await?;
        Ok(Guarded::Updated)
    }

    async fn complete(
        &mut self,
        found: &Conversation,
        with: &Conversation,
    ) -> StorageResult<Guarded> {
        let updated = self.update_conversation(found, with, true).await?;
        self.touch(Touch::ConversationImported(with.id, with.user.clone()));
        Ok(updated)
    }

    async fn insert_new(&mut self, imports: &[Import]) -> StorageResult<Guarded> {
        let is_new = |import: &&Import| import.found.is_none();
        let new: Vec<&Conversation> = imports
            .iter()
            .filter(is_new)
            .map(|import| &import.conversation)
            .collect();
        let rows: Vec<ConversationRow> = new.iter().copied().map(Into::into).collect();
        let made = on!(self.connection, |c, q| q::import::insert_conversations(
            c, &rows
        ))?;
        if made < rows.len() {
            return Ok(Guarded::Stale);
        }
        for conversation in new {
            self.touch(Touch::ConversationCreated(
                conversation.id,
                conversation.user.clone(),
            ));
        }
        let event = |row: &ConversationRow| {
            NewFeedRow::new(
                &self.owner,
                EventType::ConversationCreated,
                (row.id, None),
                &row.user_label,
                payload(row),
                self.now,
            )
        };
        let events: Vec<_> = rows.iter().map(event).collect();
        on!(self.connection, |c, q| q::feed::append_all(c, &events))?;
        Ok(Guarded::Updated)
    }

    /// Inserts the messages with their index entries, and all counters.
    async fn insert_messages(&mut self, imports: &[Import]) -> StorageResult<()> {
        let messages = || {
            imports.iter().flat_map(|import| {
                let of = &import.conversation;
                import.messages.iter().map(move |message| (of, message))
            })
        };
        let rows: Vec<MessageRow> = messages().map(|(_, message)| message.into()).collect();
        on!(self.connection, |c, q| q::import::insert_messages(c, &rows))?;
        let index_rows: Vec<_> = messages()
            .map(|(of, message)| self.index_row(message, &of.user, &of.title))
            .collect();
        for some in portions(&index_rows) {
            on_backend!(self.connection, index_new(some))?;
        }
        let made = imports.iter().filter(|import| import.found.is_none());
        let conversations = made.map(|import| {
            let (user, row) = of_conversation(&import.conversation);
            (user.unwrap_or_default(), row)
        });
        let counted = messages().map(|(of, message)| (of.user.as_str(), of_message(message).1));
        for deltas in Deltas::of_all(self.owner.as_str(), conversations.chain(counted)) {
            on!(self.connection, |c, q| q::stats::append(c, &deltas))?;
        }
        Ok(())
    }
}

fn comparable(row: ComparableRow, conversation: Id) -> StorageResult<ComparableMessage> {
    let bad = |column| StorageError::inconsistent("messages", column, conversation.0);
    let other = OtherFields::parse(&row.other_fields).ok_or_else(|| bad("other_fields"))?;
    Ok(ComparableMessage {
        created_at: row.created_at.into(),
        direction: Direction::parse(&row.direction).ok_or_else(|| bad("direction"))?,
        role: other.role,
        body: row.body,
        metadata: Json::from_text(row.metadata.into_canonical()),
    })
}
