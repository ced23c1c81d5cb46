//! What messages are found by.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{pg::Pg, sqlite::Sqlite};
use parlance_domain::search::{Language, Scope, Terms, document};
use parlance_domain::{Channel, ConversationId, Direction, Message, Owner};

use super::word;
use crate::error::{StorageError, StorageResult};
use crate::fields::{Id, Instant, sql};
use crate::schema::{messages, search_pending};

/// A message's place in the index.
#[derive(Clone, Debug)]
pub(crate) struct IndexRow {
    pub(crate) message_id: Id,
    pub(crate) owner: String,
    pub(crate) conversation_id: Id,
    pub(crate) created_at: Instant,
    pub(crate) terms: Terms,
}

/// What the terms of a message are made of besides itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Around<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) user: &'a str,
    pub(crate) title: &'a str,
    pub(crate) language: Language,
}

/// What the terms of a message are made of, where it is indexed anew.
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

/// A conversation whose messages are not yet all found by its title and user.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = search_pending, check_for_backend(Pg, Sqlite))]
pub(crate) struct SearchPendingRow {
    pub(crate) conversation_id: Id,
    pub(crate) owner: String,
    pub(crate) below: i64,
}

/// What a search asks of an index.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) owner: String,
    /// Words and scopes; the owner's is always among them.
    pub(crate) terms: Terms,
    /// The same without the owner's.
    pub(crate) narrower: Terms,
    pub(crate) user: Option<String>,
    pub(crate) channel: Option<&'static str>,
    pub(crate) direction: Option<&'static str>,
    pub(crate) status: Option<&'static str>,
    /// How many messages of that state there are that may be seen, of the user, the channel and the direction.
    pub(crate) counted: Option<i64>,
    pub(crate) created_after: Option<Instant>,
    pub(crate) created_before: Option<Instant>,
    /// Only beyond this place.
    pub(crate) beyond: Option<(i64, Id)>,
    /// Only from this place on, with it.
    pub(crate) from: Option<(i64, Id)>,
    /// Only up to this place, with it.
    pub(crate) up_to: Option<(i64, Id)>,
    /// How many are wanted.
    pub(crate) enough: usize,
    /// How many are taken if they are near.
    pub(crate) limit: usize,
    /// Characters of the body that come with each.
    pub(crate) head: i64,
}

/// What a search finds.
#[derive(Clone, Debug, QueryableByName)]
pub(crate) struct FoundRow {
    /// The time, or the number, by which matches are ordered.
    #[diesel(sql_type = BigInt)]
    pub(crate) place: i64,
    #[diesel(sql_type = sql::Uid)]
    pub(crate) message_id: Id,
    #[diesel(sql_type = Text)]
    pub(crate) subject: String,
    #[diesel(sql_type = Text)]
    pub(crate) head: String,
    #[diesel(sql_type = Text)]
    pub(crate) title: String,
    /// Whether it is to be seen: a hash may have found another's, and the index does not know which conversations are hidden.
    #[diesel(sql_type = Bool)]
    pub(crate) shown: bool,
}

/// What a search finds, and whether there is nothing beyond.
pub(crate) type Found = (Vec<FoundRow>, bool);

impl IndexRow {
    pub(crate) fn of(message: &Message, around: Around<'_>) -> Self {
        let texts = [
            around.title,
            message.subject.as_str(),
            message.body.as_str(),
        ];
        let scopes = (message.conversation_id, message.channel, message.direction);
        Self {
            message_id: Id(message.id.uuid()),
            owner: around.owner.as_str().to_owned(),
            conversation_id: Id(message.conversation_id.uuid()),
            created_at: message.created_at.into(),
            terms: terms(texts, scopes, around),
        }
    }

    pub(crate) fn of_source(row: &SourceRow, around: Around<'_>) -> StorageResult<Self> {
        let texts = [around.title, row.subject.as_str(), row.body.as_str()];
        let scopes = (
            ConversationId::from_uuid(row.conversation_id.0),
            word!("messages", row, channel, Channel)?,
            word!("messages", row, direction, Direction)?,
        );
        Ok::<_, StorageError>(Self {
            message_id: row.id,
            owner: around.owner.as_str().to_owned(),
            conversation_id: row.conversation_id,
            created_at: row.created_at,
            terms: terms(texts, scopes, around),
        })
    }
}

fn terms(
    texts: [&str; 3],
    (conversation, channel, direction): (ConversationId, Channel, Direction),
    around: Around<'_>,
) -> Terms {
    let scopes = [
        Scope::Owner(around.owner),
        Scope::User(around.user),
        Scope::Conversation(conversation),
        Scope::Channel(channel),
        Scope::Direction(direction),
    ];
    document(texts, scopes, around.language)
}
