//! What messages are found by.
//!
//! A message is indexed in the transaction that writes it, by its own words, its conversation's title and its user. When these
//! two change, so are the conversation's newest messages; a conversation of more than [`BATCH`] waits for the rest, which
//! [`Tx::index_more`] does, and until then its older messages are found as they were.

use parlance_domain::search::{Language, RANKED_CHARS, Scope, Terms};
use parlance_domain::{
    Channel, Conversation, ConversationId, Direction, Message, MessageId, MessageStatus, Owner,
    Timestamp,
};
use uuid::Uuid;

use crate::conn::{Database, Lease};
use crate::db::stats::{Counter, CounterKind};
use crate::error::{StorageError, StorageResult};
use crate::fields::Id;
use crate::rows::search::{Around, Asked, Found, FoundRow, IndexRow, SearchPendingRow};
use crate::touched::Touch;
use crate::tx::Tx;

/// Messages that one write indexes anew.
pub const BATCH: i64 = 200;

/// Which messages are wanted; `None` is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchFilter {
    /// Whose conversations.
    pub user: Option<String>,
    /// Of which conversation.
    pub conversation_id: Option<ConversationId>,
    /// Of which channel.
    pub channel: Option<Channel>,
    /// Which way they went.
    pub direction: Option<Direction>,
    /// In which state.
    pub status: Option<MessageStatus>,
    /// Made then or later.
    pub created_after: Option<Timestamp>,
    /// Made earlier.
    pub created_before: Option<Timestamp>,
}

/// Where a match stands among all, by time; what it consists of is the database's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SearchPosition {
    at: i64,
    id: Uuid,
}

impl SearchPosition {
    /// Bytes of a place.
    pub const LEN: usize = 24;

    /// A place as it travels.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.at.to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        bytes
    }

    /// The place that came back.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let (mut at, mut id) = ([0; 8], [0; 16]);
        at.copy_from_slice(&bytes[..8]);
        id.copy_from_slice(&bytes[8..]);
        Self {
            at: i64::from_be_bytes(at),
            id: Uuid::from_bytes(id),
        }
    }

    const fn columns(self) -> (i64, Id) {
        (self.at, Id(self.id))
    }
}

/// A stretch of the matches, from the newest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchWindow {
    /// Only older ones than this.
    pub beyond: Option<SearchPosition>,
    /// Only from this one on, with it.
    pub from: Option<SearchPosition>,
    /// Only up to this one, with it.
    pub up_to: Option<SearchPosition>,
    /// How many are wanted.
    pub enough: usize,
    /// How many may be returned where they are near.
    pub limit: usize,
}

/// A message that has the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Where it stands.
    pub position: SearchPosition,
    /// Which message.
    pub id: MessageId,
    /// Its subject.
    pub subject: String,
    /// The first [`RANKED_CHARS`] characters of its body.
    pub head: String,
    /// The title of its conversation.
    pub title: String,
}

/// Matches next to one another, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matches {
    /// Those that may be seen.
    pub matches: Vec<Match>,
    /// Where the first and the last stand, with those that may not be seen.
    pub ends: Option<(SearchPosition, SearchPosition)>,
    /// Whether there are none beyond.
    pub is_last: bool,
}

impl Database {
    /// The language that messages are searched in.
    pub const fn search_language(&self) -> Language {
        self.search_language
    }

    /// The owner's messages that have all the words, in a stretch of time.
    pub async fn search(
        &self,
        owner: &Owner,
        words: &Terms,
        filter: &SearchFilter,
        stretch: SearchWindow,
    ) -> StorageResult<Matches> {
        let found = match filter.status {
            None => {
                let asked = asked(owner, words, filter, stretch, None);
                read!(self, search(&asked))
            }
            Some(status) => match self
                .search_in_state(owner, words, filter, stretch, status)
                .await
            {
                // As by `read!`: the connection may have died while it was idle.
                Err(StorageError::Unavailable(_)) => {
                    self.search_in_state(owner, words, filter, stretch, status)
                        .await
                }
                found => found,
            },
        };
        let (rows, is_last) = found?;
        let ends = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) => Some((first.place(), last.place())),
            (_, _) => None,
        };
        let seen = rows.into_iter().filter(|row| row.shown);
        Ok(Matches {
            matches: seen.map(Match::from).collect(),
            ends,
            is_last,
        })
    }

    /// The matches in a state, and how many messages are in it, in one snapshot. The counters are exact: where there are none, all
    /// that have the words would be looked through for them, and where there are few, a search ends when it has found as many.
    async fn search_in_state(
        &self,
        owner: &Owner,
        words: &Terms,
        filter: &SearchFilter,
        stretch: SearchWindow,
        wanted: MessageStatus,
    ) -> StorageResult<Found> {
        let mut lease = self.snapshot().await?;
        let rows = on!(lease, |c, q| q::stats::sums(
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
            let asked = asked(owner, words, filter, stretch, Some(counted));
            on_backend!(lease, search(&asked))?
        };
        lease.rollback().await?;
        Ok(found)
    }

    /// Some conversations of the whole installation whose messages are not yet all found by their title and user.
    pub async fn pending_for_search(
        &self,
        limit: i64,
    ) -> StorageResult<Vec<(Owner, ConversationId)>> {
        let rows = read!(self, |c, q| q::search::some_pending(c, limit))?;
        let found = rows.into_iter().map(|row| {
            let id = row.conversation_id.0;
            let owner = crate::rows::owner("search_pending", &row.owner, id)?;
            Ok((owner, ConversationId::from_uuid(id)))
        });
        found.collect()
    }
}

impl Tx {
    /// Goes on with a conversation whose messages are not yet all found by its title and user, and which the caller has
    /// locked; whether there are more.
    pub async fn index_more(&mut self, conversation: &Conversation) -> StorageResult<bool> {
        let id = Id(conversation.id.uuid());
        let below = on!(self.lease, |c, q| q::search::pending(
            c,
            self.owner.as_str(),
            id
        ))?;
        match below {
            Some(below) => {
                // Nothing is written that a client sees, but what a search finds is another.
                self.touch(Touch::ConversationIndexed(
                    conversation.id,
                    conversation.user.clone(),
                ));
                self.index_below(conversation, below).await
            }
            None => Ok(false),
        }
    }

    /// There is nothing left to be found of a conversation.
    pub async fn delete_pending_for_search(&mut self, id: ConversationId) -> StorageResult<()> {
        let id = Id(id.uuid());
        on!(self.lease, |c, q| q::search::delete_pending(
            c,
            self.owner.as_str(),
            id
        ))
    }

    /// Indexes the newest messages below a place anew, and notes where the next ones begin; whether there are any.
    pub(crate) async fn index_below(
        &mut self,
        conversation: &Conversation,
        below: i64,
    ) -> StorageResult<bool> {
        let (owner, language) = (self.owner.clone(), self.language);
        let around = Around {
            owner: &owner,
            user: &conversation.user,
            title: &conversation.title,
            language,
        };
        let batch = index_batch(&mut self.lease, conversation.id, around, below).await?;
        let Some(below) = batch.next else {
            self.delete_pending_for_search(conversation.id).await?;
            return Ok(false);
        };
        let row = SearchPendingRow {
            conversation_id: Id(conversation.id.uuid()),
            owner: owner.as_str().to_owned(),
            below,
        };
        on!(self.lease, |c, q| q::search::add_pending(c, &row))?;
        Ok(true)
    }

    /// The row of the index for a message.
    pub(crate) fn index_row(&self, message: &Message, user: &str, title: &str) -> IndexRow {
        IndexRow::of(
            message,
            Around {
                owner: &self.owner,
                user,
                title,
                language: self.language,
            },
        )
    }
}

/// What was indexed together.
pub(crate) struct Batch {
    /// How many.
    pub(crate) messages: i64,
    /// Those that are left lie below this place.
    pub(crate) next: Option<i64>,
}

/// Indexes up to [`BATCH`] of a conversation's messages.
pub(crate) async fn index_batch(
    lease: &mut Lease,
    conversation: ConversationId,
    around: Around<'_>,
    below: i64,
) -> StorageResult<Batch> {
    let id = Id(conversation.uuid());
    let sources = on!(*lease, |c, q| q::search::sources(
        c,
        around.owner.as_str(),
        id,
        below,
        BATCH
    ))?;
    let rows: Vec<IndexRow> = sources
        .iter()
        .map(|source| IndexRow::of_source(source, around))
        .collect::<StorageResult<_>>()?;
    on_backend!(*lease, index(&rows))?;
    let messages = i64::try_from(sources.len()).unwrap_or(i64::MAX);
    let last = sources.last().filter(|_| messages == BATCH);
    Ok(Batch {
        messages,
        next: last.map(|last| last.sequence),
    })
}

pub(crate) fn asked(
    owner: &Owner,
    words: &Terms,
    filter: &SearchFilter,
    stretch: SearchWindow,
    counted: Option<i64>,
) -> Asked {
    let SearchFilter {
        user,
        conversation_id,
        channel,
        direction,
        status,
        created_after,
        created_before,
    } = filter;
    let scopes = [
        user.as_deref().map(Scope::User),
        conversation_id.map(Scope::Conversation),
        channel.map(Scope::Channel),
        direction.map(Scope::Direction),
    ];
    let scopes = scopes.into_iter().flatten();
    let terms = scopes.fold(words.clone(), Terms::within);
    Asked {
        owner: owner.as_str().to_owned(),
        terms: terms.clone().within(Scope::Owner(owner)),
        narrower: terms,
        user: user.clone(),
        channel: channel.map(Channel::as_str),
        direction: direction.map(Direction::as_str),
        status: status.map(MessageStatus::as_str),
        counted,
        created_after: created_after.map(Into::into),
        created_before: created_before.map(Into::into),
        beyond: stretch.beyond.map(SearchPosition::columns),
        from: stretch.from.map(SearchPosition::columns),
        up_to: stretch.up_to.map(SearchPosition::columns),
        enough: stretch.enough,
        limit: stretch.limit,
        head: i64::try_from(RANKED_CHARS).unwrap_or(i64::MAX),
    }
}

impl FoundRow {
    pub(crate) const fn place(&self) -> SearchPosition {
        SearchPosition {
            at: self.place,
            id: self.message_id.0,
        }
    }
}

impl From<FoundRow> for Match {
    fn from(row: FoundRow) -> Self {
        Self {
            place: row.place(),
            id: MessageId::from_uuid(row.message_id.0),
            subject: row.subject,
            head: row.head,
            title: row.title,
        }
    }
}
