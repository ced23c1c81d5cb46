//! Popular searches.

use diesel::prelude::*;
use diesel::{pg::Pg, sqlite::Sqlite};
use parlance_domain::{Channel, ConversationId, Direction, MessageStatus};

use crate::db::popular::PopularSearch;
use crate::db::search::SearchFilter;
use crate::error::{StorageError, StorageResult};
use crate::fields::{Id, Instant};
use crate::rows;
use crate::schema::popular_searches;

const TABLE: &str = "popular_searches";

/// A search, how often it was made, and when it was made last.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = popular_searches, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
pub(crate) struct PopularRow {
    pub(crate) question: Id,
    pub(crate) owner: String,
    pub(crate) query: String,
    pub(crate) page_size: i64,
    pub(crate) user_label: Option<String>,
    pub(crate) conversation_id: Option<Id>,
    pub(crate) channel: Option<String>,
    pub(crate) direction: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) created_after: Option<Instant>,
    pub(crate) created_before: Option<Instant>,
    pub(crate) weight: i64,
    pub(crate) asked_at: Instant,
}

/// The columns of a row that decide whether it stays.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = popular_searches, check_for_backend(Pg, Sqlite))]
pub(crate) struct PopularRankRow {
    pub(crate) question: Id,
    pub(crate) owner: String,
    pub(crate) weight: i64,
    pub(crate) asked_at: Instant,
}

impl PopularRow {
    pub(crate) fn new(search: &PopularSearch, times: u64, at: Instant) -> Self {
        let PopularSearch {
            fingerprint,
            owner,
            query,
            filter,
            page_size,
        } = search;
        let SearchFilter {
            user,
            conversation_id,
            channel,
            direction,
            status,
            created_after,
            created_before,
        } = filter;
        Self {
            question: Id(*fingerprint),
            owner: owner.as_str().to_owned(),
            query: query.clone(),
            page_size: i64::try_from(*page_size).unwrap_or(i64::MAX),
            user_label: user.clone(),
            conversation_id: conversation_id.map(|id| Id(id.uuid())),
            channel: channel.map(|word| word.as_str().to_owned()),
            direction: direction.map(|word| word.as_str().to_owned()),
            status: status.map(|word| word.as_str().to_owned()),
            created_after: created_after.map(Into::into),
            created_before: created_before.map(Into::into),
            // No sum of such counts comes close to the limit of the column.
            weight: i64::from(u32::try_from(times).unwrap_or(u32::MAX)),
            asked_at: at,
        }
    }
}

impl TryFrom<PopularRow> for PopularSearch {
    type Error = StorageError;

    fn try_from(row: PopularRow) -> StorageResult<Self> {
        let PopularRow {
            question: Id(question),
            owner,
            query,
            page_size,
            user_label,
            conversation_id,
            channel,
            direction,
            status,
            created_after,
            created_before,
            weight: _,
            asked_at: _,
        } = row;
        let bad = |column| StorageError::inconsistent(TABLE, column, question);
        let channel = word(channel.as_deref(), Channel::parse, || bad("channel"))?;
        let direction = word(direction.as_deref(), Direction::parse, || bad("direction"))?;
        let status = word(status.as_deref(), MessageStatus::parse, || bad("status"))?;
        Ok(Self {
            fingerprint: question,
            owner: rows::owner(TABLE, &owner, question)?,
            query,
            filter: SearchFilter {
                user: user_label,
                conversation_id: conversation_id.map(|id| ConversationId::from_uuid(id.0)),
                channel,
                direction,
                status,
                created_after: created_after.map(Into::into),
                created_before: created_before.map(Into::into),
            },
            page_size: usize::try_from(page_size).map_err(|_| bad("page_size"))?,
        })
    }
}

fn word<T>(
    word: Option<&str>,
    parse: impl FnOnce(&str) -> Option<T>,
    bad: impl FnOnce() -> StorageError,
) -> StorageResult<Option<T>> {
    word.map(|word| parse(word).ok_or_else(bad)).transpose()
}
