//! The search index and searches.
//!
//! A message is indexed in the transaction that writes it, by its own words, its conversation's title and its user. If
//! the title or the user changes, the conversation's newest messages are indexed again in the same transaction. In a
//! conversation of more than [`BATCH`] messages, [`Tx::index_more`] indexes the rest later, and until then its older
//! messages match as before.

use parlance_domain::search::{Language, Terms};
use parlance_domain::{Conversation, ConversationId, Message, MessageStatus, Owner};

pub use crate::model::search::{Match, Matches, SearchFilter, SearchPosition, SearchWindow};

use crate::conn::{Database, PooledConnection};
use crate::db::tx::Tx;
use crate::error::{StorageError, StorageResult};
use crate::fields::Id;
use crate::model::stats::{Counter, CounterKind};
use crate::model::touched::Touch;
use crate::rows::search::{IndexContext, IndexRow, MatchRows, SearchPendingRow, SearchRequest};

/// Messages that one write indexes again.
pub const BATCH: i64 = 200;

impl Database {
    /// Returns the language of message search.
    pub const fn search_language(&self) -> Language {
        self.search_language
    }

    /// Returns the owner's messages that contain all the words, in a range of the matches.
    pub async fn search(
        &self,
        owner: &Owner,
        words: &Terms,
        filter: &SearchFilter,
        window: SearchWindow,
    ) -> StorageResult<Matches> {
        let found = match filter.status {
            None => {
                let request = SearchRequest::new(owner, words, filter, window, None);
                read!(self, search(&request))
            }
            Some(status) => match self
                .search_in_state(owner, words, filter, window, status)
                .await
            {
                // As in `read!`: the connection may have died while it was idle.
                Err(StorageError::Unavailable(_)) => {
                    self.search_in_state(owner, words, filter, window, status)
                        .await
                }
                found => found,
            },
        };
        let (rows, is_last) = found?;
        let ends = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) => Some((first.position(), last.position())),
            (_, _) => None,
        };
        let seen = rows.into_iter().filter(|row| row.shown);
        Ok(Matches {
            matches: seen.map(Match::from).collect(),
            ends,
            is_last,
        })
    }

    /// Searches for messages in a state, and counts the messages in that state, in one snapshot. The counters are
    /// exact: with a count of zero the search ends at once instead of reading all matches of the words.
    async fn search_in_state(
        &self,
        owner: &Owner,
        words: &Terms,
        filter: &SearchFilter,
        window: SearchWindow,
        wanted: MessageStatus,
    ) -> StorageResult<MatchRows> {
        let mut connection = self.snapshot().await?;
        let rows = on!(connection, |c, q| q::stats::sums(
            c,
            owner.as_str(),
            filter.user.as_deref()
        ))?;
        let counters: Vec<Counter> = rows
            .into_iter()
            .map(Counter::try_from)
            .collect::<StorageResult<_>>()?;
        let items = counters.iter().filter_map(|counter| match counter.kind {
            CounterKind::Messages {
                channel,
                direction,
                status,
            } => {
                let fits = status == wanted
                    && filter.channel.is_none_or(|one| one == channel)
                    && filter.direction.is_none_or(|one| one == direction);
                fits.then_some(counter.items)
            }
            CounterKind::Conversations { .. } => None,
        });
        let counted: i64 = items.sum();
        let found = if counted == 0 {
            (Vec::new(), true)
        } else {
            let request = SearchRequest::new(owner, words, filter, window, Some(counted));
            on_backend!(connection, search(&request))?
        };
        connection.rollback().await?;
        Ok(found)
    }

    /// Returns some conversations of the whole installation with messages that are not yet indexed with their current
    /// title and user.
    pub async fn pending_for_search(
        &self,
        limit: i64,
    ) -> StorageResult<Vec<(Owner, ConversationId)>> {
        let rows = read!(self, |c, q| q::search::some_pending(c, limit))?;
        let found = rows.into_iter().map(|row| {
            let id = row.conversation_id;
            let owner = crate::rows::owner("search_pending", &row.owner, id.0)?;
            Ok((owner, ConversationId::from(id)))
        });
        found.collect()
    }
}

impl Tx {
    /// Indexes the next batch of a conversation that is not fully indexed with its current title and user. The caller
    /// has locked it. Returns whether there are more.
    pub async fn index_more(&mut self, conversation: &Conversation) -> StorageResult<bool> {
        let id = Id::from(conversation.id);
        let below = on!(self.connection, |c, q| q::search::pending(
            c,
            self.owner.as_str(),
            id
        ))?;
        match below {
            Some(below) => {
                // No client reads what is written here, but the results of searches change.
                self.touch(Touch::ConversationIndexed(
                    conversation.id,
                    conversation.user.clone(),
                ));
                self.index_below(conversation, below).await
            }
            None => Ok(false),
        }
    }

    /// Removes the record that a conversation has messages to index.
    pub async fn delete_pending_for_search(&mut self, id: ConversationId) -> StorageResult<()> {
        let id = Id::from(id);
        on!(self.connection, |c, q| q::search::delete_pending(
            c,
            self.owner.as_str(),
            id
        ))
    }

    /// Indexes the newest messages below a sequence again, and records where the next batch begins; returns whether
    /// there is one.
    pub(crate) async fn index_below(
        &mut self,
        conversation: &Conversation,
        below: i64,
    ) -> StorageResult<bool> {
        let (owner, language) = (self.owner.clone(), self.language);
        let context = IndexContext {
            owner: &owner,
            user: &conversation.user,
            title: &conversation.title,
            language,
        };
        let batch = index_batch(&mut self.connection, conversation.id, context, below).await?;
        let Some(below) = batch.next else {
            self.delete_pending_for_search(conversation.id).await?;
            return Ok(false);
        };
        let row = SearchPendingRow {
            conversation_id: conversation.id.into(),
            owner: owner.as_str().to_owned(),
            below,
        };
        on!(self.connection, |c, q| q::search::add_pending(c, &row))?;
        Ok(true)
    }

    /// Returns the index row of a message.
    pub(crate) fn index_row(&self, message: &Message, user: &str, title: &str) -> IndexRow {
        IndexRow::of(
            message,
            IndexContext {
                owner: &self.owner,
                user,
                title,
                language: self.language,
            },
        )
    }
}

/// Result of indexing one batch.
pub(crate) struct Batch {
    /// Number of messages.
    pub(crate) messages: i64,
    /// The remaining messages are below this sequence.
    pub(crate) next: Option<i64>,
}

/// Indexes up to [`BATCH`] of a conversation's messages.
pub(crate) async fn index_batch(
    connection: &mut PooledConnection,
    conversation: ConversationId,
    context: IndexContext<'_>,
    below: i64,
) -> StorageResult<Batch> {
    let id = Id::from(conversation);
    let sources = on!(*connection, |c, q| q::search::sources(
        c,
        context.owner.as_str(),
        id,
        below,
        BATCH
    ))?;
    let rows: Vec<IndexRow> = sources
        .iter()
        .map(|source| IndexRow::of_source(source, context))
        .collect::<StorageResult<_>>()?;
    on_backend!(*connection, index(&rows))?;
    let messages = i64::try_from(sources.len()).unwrap_or(i64::MAX);
    let last = sources.last().filter(|_| messages == BATCH);
    Ok(Batch {
        messages,
        next: last.map(|last| last.sequence),
    })
}
