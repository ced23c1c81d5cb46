//! The change feed.

use diesel::prelude::*;
use diesel::{pg::Pg, sqlite::Sqlite};
use parlance_domain::{Event, EventSubject, EventType, Owner, Timestamp};

use super::conversation::ConversationRow;
use super::message::MessageRow;
use crate::error::{StorageError, StorageResult};
use crate::fields::{Doc, Id, Instant, Xid};
use crate::schema::{feed, feed_state};

/// An event as it is read.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = feed, check_for_backend(Pg, Sqlite))]
pub(crate) struct FeedRow {
    pub(crate) xid: Xid,
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) kind: String,
    pub(crate) conversation_id: Id,
    pub(crate) message_id: Option<Id>,
    pub(crate) user_label: String,
    pub(crate) payload: Option<Doc>,
    pub(crate) time: Instant,
}

/// An event without its copy of the row.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = feed, check_for_backend(Pg, Sqlite))]
pub(crate) struct FeedHeadRow {
    pub(crate) xid: Xid,
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) bytes: i32,
    pub(crate) time: Instant,
}

/// An event as it is written; the database assigns its position.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = feed, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
pub(crate) struct NewFeedRow {
    pub(crate) owner: String,
    pub(crate) kind: String,
    pub(crate) conversation_id: Id,
    pub(crate) message_id: Option<Id>,
    pub(crate) user_label: String,
    pub(crate) payload: Option<Doc>,
    pub(crate) bytes: i32,
    pub(crate) time: Instant,
}

impl NewFeedRow {
    pub(crate) fn new(
        owner: &Owner,
        kind: EventType,
        (conversation, message): (Id, Option<Id>),
        user: &str,
        payload: Option<Doc>,
        now: Timestamp,
    ) -> Self {
        Self {
            owner: owner.as_str().to_owned(),
            kind: kind.as_str().to_owned(),
            conversation_id: conversation,
            message_id: message,
            user_label: user.to_owned(),
            bytes: payload
                .as_ref()
                .map_or(0, |doc| i32::try_from(doc.0.len()).unwrap_or(i32::MAX)),
            payload,
            time: now.into(),
        }
    }
}

/// The one row about the feed itself.
#[derive(Clone, Copy, Debug, Queryable, Selectable)]
#[diesel(table_name = feed_state, check_for_backend(Pg, Sqlite))]
pub(crate) struct StateRow {
    pub(crate) epoch: i64,
    pub(crate) pruned_xid: Xid,
    pub(crate) pruned_id: i64,
    pub(crate) stale_id: Option<i64>,
}

/// Returns the copy of a row that an event stores. Rows have string keys and finite numbers, so it cannot fail.
pub(crate) fn payload<T: serde::Serialize>(row: &T) -> Option<Doc> {
    serde_json::to_string(row).ok().map(Doc)
}

impl TryFrom<FeedRow> for Event {
    type Error = StorageError;

    fn try_from(row: FeedRow) -> StorageResult<Self> {
        let bad = |column| StorageError::inconsistent("feed", column, row.id);
        let subject = match (&row.payload, row.message_id) {
            (None, _) => EventSubject::Gone,
            (Some(doc), Some(_)) => {
                let message: MessageRow =
                    serde_json::from_str(&doc.0).map_err(|_| bad("payload"))?;
                EventSubject::Message(Box::new(message.try_into()?))
            }
            (Some(doc), None) => {
                let conversation: ConversationRow =
                    serde_json::from_str(&doc.0).map_err(|_| bad("payload"))?;
                EventSubject::Conversation(Box::new(conversation.try_into()?))
            }
        };
        Ok(Self {
            kind: EventType::parse(&row.kind).ok_or_else(|| bad("kind"))?,
            conversation_id: row.conversation_id.into(),
            message_id: row.message_id.map(Into::into),
            user: row.user_label,
            subject,
            time: row.time.into(),
        })
    }
}
