//! Rows of the search index.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{pg::Pg, sqlite::Sqlite};
use parlance_domain::search::{Language, RANKED_CHARS, Scope, Terms, document};
use parlance_domain::{Channel, ConversationId, Direction, Message, MessageStatus, Owner};

use super::word;
use crate::error::{StorageError, StorageResult};
use crate::fields::{Id, Instant, sql};
use crate::model::search::{Match, SearchFilter, SearchPosition, SearchWindow};
use crate::schema::{messages, search_pending};

/// A message in the index.
#[derive(Clone, Debug)]
pub(crate) struct IndexRow {
    pub(crate) message_id: Id,
    pub(crate) owner: String,
    pub(crate) conversation_id: Id,
    pub(crate) created_at: Instant,
    pub(crate) terms: Terms,
}

/// What the terms of a message are derived from, besides the message itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexContext<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) user: &'a str,
    pub(crate) title: &'a str,
    pub(crate) language: Language,
}

/// The columns of a message that its terms are derived from, for a rebuild.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = messages, check_for_backend(Pg, Sqlite))]
pub(crate) struct SourceRow {
    pub(crate) id: Id,
    pub(crate) conversation_id: Id,
    pub(crate) sequence: i64,
    pub(crate) channel: String,
    pub(crate) direction: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) created_at: Instant,
}

/// A conversation with messages that are not yet indexed with its current title and user.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = search_pending, check_for_backend(Pg, Sqlite))]
pub(crate) struct SearchPendingRow {
    pub(crate) conversation_id: Id,
    pub(crate) owner: String,
    pub(crate) below: i64,
}

/// A search, as the backends take it.
#[derive(Clone, Debug)]
pub(crate) struct SearchRequest {
    pub(crate) owner: String,
    /// Words and scopes; always includes the owner's.
    pub(crate) terms: Terms,
    /// The same without the owner's.
    pub(crate) narrower: Terms,
    pub(crate) user: Option<String>,
    pub(crate) channel: Option<&'static str>,
    pub(crate) direction: Option<&'static str>,
    pub(crate) status: Option<&'static str>,
    /// Number of visible messages in the requested state, for the user, the channel and the direction.
    pub(crate) counted: Option<i64>,
    pub(crate) created_after: Option<Instant>,
    pub(crate) created_before: Option<Instant>,
    /// Only matches beyond this position.
    pub(crate) beyond: Option<(i64, Id)>,
    /// Only matches from this position on, inclusive.
    pub(crate) from: Option<(i64, Id)>,
    /// Only matches up to this position, inclusive.
    pub(crate) up_to: Option<(i64, Id)>,
    /// How many matches are wanted.
    pub(crate) enough: usize,
    /// How many matches are returned if they cost nothing extra.
    pub(crate) limit: usize,
    /// Characters of the body that are returned with each match.
    pub(crate) head: i64,
}

/// A match of a search.
#[derive(Clone, Debug, QueryableByName)]
pub(crate) struct MatchRow {
    /// The time, or the number, by which matches are ordered.
    #[diesel(sql_type = BigInt)]
    pub(crate) position: i64,
    #[diesel(sql_type = sql::Uid)]
    pub(crate) message_id: Id,
    #[diesel(sql_type = Text)]
    pub(crate) subject: String,
    #[diesel(sql_type = Text)]
    pub(crate) head: String,
    #[diesel(sql_type = Text)]
    pub(crate) title: String,
    /// Whether it is visible. A term is a hash, which may match another owner's message, and the index does not know
    /// which conversations are hidden.
    #[diesel(sql_type = Bool)]
    pub(crate) shown: bool,
}

/// Matches of a search, and whether there are none beyond them.
pub(crate) type MatchRows = (Vec<MatchRow>, bool);

impl SearchRequest {
    /// Returns the request for a window of the matches. `counted` is the number of visible messages in the requested
    /// state.
    pub(crate) fn new(
        owner: &Owner,
        words: &Terms,
        filter: &SearchFilter,
        window: SearchWindow,
        counted: Option<i64>,
    ) -> Self {
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
        Self {
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
            beyond: window.beyond.map(columns),
            from: window.from.map(columns),
            up_to: window.up_to.map(columns),
            enough: window.enough,
            limit: window.limit,
            head: i64::try_from(RANKED_CHARS).unwrap_or(i64::MAX),
        }
    }
}

const fn columns(SearchPosition { at, id }: SearchPosition) -> (i64, Id) {
    (at, Id(id))
}

impl MatchRow {
    pub(crate) const fn position(&self) -> SearchPosition {
        SearchPosition {
            at: self.position,
            id: self.message_id.0,
        }
    }
}

impl From<MatchRow> for Match {
    fn from(row: MatchRow) -> Self {
        Self {
            position: row.position(),
            id: row.message_id.into(),
            subject: row.subject,
            head: row.head,
            title: row.title,
        }
    }
}

impl IndexRow {
    pub(crate) fn of(message: &Message, context: IndexContext<'_>) -> Self {
        let texts = [
            context.title,
            message.subject.as_str(),
            message.body.as_str(),
        ];
        let scopes = (message.conversation_id, message.channel, message.direction);
        Self {
            message_id: message.id.into(),
            owner: context.owner.as_str().to_owned(),
            conversation_id: message.conversation_id.into(),
            created_at: message.created_at.into(),
            terms: terms(texts, scopes, context),
        }
    }

    pub(crate) fn of_source(row: &SourceRow, context: IndexContext<'_>) -> StorageResult<Self> {
        let texts = [context.title, row.subject.as_str(), row.body.as_str()];
        let scopes = (
            ConversationId::from(row.conversation_id),
            word!("messages", row, channel, Channel)?,
            word!("messages", row, direction, Direction)?,
        );
        Ok::<_, StorageError>(Self {
            message_id: row.id,
            owner: context.owner.as_str().to_owned(),
            conversation_id: row.conversation_id,
            created_at: row.created_at,
            terms: terms(texts, scopes, context),
        })
    }
}

fn terms(
    texts: [&str; 3],
    (conversation, channel, direction): (ConversationId, Channel, Direction),
    context: IndexContext<'_>,
) -> Terms {
    let scopes = [
        Scope::Owner(context.owner),
        Scope::User(context.user),
        Scope::Conversation(conversation),
        Scope::Channel(channel),
        Scope::Direction(direction),
    ];
    document(texts, scopes, context.language)
}
