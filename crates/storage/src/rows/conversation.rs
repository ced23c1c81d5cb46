//! Conversations.

use diesel::prelude::*;
use diesel::{pg::Pg, sqlite::Sqlite};
use parlance_domain::{Channel, Conversation, ConversationStatus, Json};
use serde::{Deserialize, Serialize};

use super::{owner, word};
use crate::error::{StorageError, StorageResult};
use crate::fields::{Doc, Id, Instant};
use crate::schema::conversations;

/// A conversation. The feed stores its serialized form, so fields may be added but not renamed.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = conversations, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
pub(crate) struct ConversationRow {
    pub(crate) id: Id,
    pub(crate) owner: String,
    pub(crate) user_label: String,
    pub(crate) channel: String,
    pub(crate) participant_from: String,
    pub(crate) participant_to: String,
    pub(crate) title: String,
    pub(crate) status: String,
    pub(crate) external_id: Option<String>,
    pub(crate) last_sequence: i64,
    pub(crate) read_sequence: i64,
    pub(crate) message_count: i64,
    pub(crate) unread_count: i64,
    pub(crate) last_message_at: Option<Instant>,
    pub(crate) active_at: Instant,
    pub(crate) metadata: Doc,
    pub(crate) created_at: Instant,
    pub(crate) updated_at: Instant,
    pub(crate) version: i64,
    pub(crate) edit_version: i64,
}

/// All columns of a conversation that a write changes, in one guarded statement.
#[derive(Clone, Debug, AsChangeset)]
#[diesel(table_name = conversations, treat_none_as_null = true)]
pub(crate) struct ConversationChange {
    pub(crate) user_label: String,
    pub(crate) title: String,
    pub(crate) status: String,
    pub(crate) external_id: Option<String>,
    pub(crate) last_sequence: i64,
    pub(crate) read_sequence: i64,
    pub(crate) message_count: i64,
    pub(crate) unread_count: i64,
    pub(crate) last_message_at: Option<Instant>,
    pub(crate) active_at: Instant,
    pub(crate) metadata: Doc,
    pub(crate) updated_at: Instant,
    pub(crate) version: i64,
    pub(crate) edit_version: i64,
}

impl From<&Conversation> for ConversationRow {
    fn from(conversation: &Conversation) -> Self {
        let Conversation {
            id,
            owner,
            user,
            channel,
            participant_from,
            participant_to,
            title,
            status,
            external_id,
            last_sequence,
            read_sequence,
            message_count,
            unread_count,
            last_message_at,
            metadata,
            created_at,
            updated_at,
            version,
            edit_version,
        } = conversation;
        Self {
            id: (*id).into(),
            owner: owner.as_str().to_owned(),
            user_label: user.clone(),
            channel: channel.as_str().to_owned(),
            participant_from: participant_from.clone(),
            participant_to: participant_to.clone(),
            title: title.clone(),
            status: status.as_str().to_owned(),
            external_id: external_id.clone(),
            last_sequence: *last_sequence,
            read_sequence: *read_sequence,
            message_count: *message_count,
            unread_count: *unread_count,
            last_message_at: last_message_at.map(Into::into),
            active_at: last_message_at.unwrap_or(*created_at).into(),
            metadata: Doc(metadata.as_str().to_owned()),
            created_at: (*created_at).into(),
            updated_at: (*updated_at).into(),
            version: *version,
            edit_version: *edit_version,
        }
    }
}

impl From<ConversationRow> for ConversationChange {
    fn from(row: ConversationRow) -> Self {
        Self {
            user_label: row.user_label,
            title: row.title,
            status: row.status,
            external_id: row.external_id,
            last_sequence: row.last_sequence,
            read_sequence: row.read_sequence,
            message_count: row.message_count,
            unread_count: row.unread_count,
            last_message_at: row.last_message_at,
            active_at: row.active_at,
            metadata: row.metadata,
            updated_at: row.updated_at,
            version: row.version,
            edit_version: row.edit_version,
        }
    }
}

impl TryFrom<ConversationRow> for Conversation {
    type Error = StorageError;

    fn try_from(row: ConversationRow) -> StorageResult<Self> {
        Ok(Self {
            id: row.id.into(),
            owner: owner("conversations", &row.owner, row.id.0)?,
            channel: word!("conversations", row, channel, Channel)?,
            status: word!("conversations", row, status, ConversationStatus)?,
            user: row.user_label,
            participant_from: row.participant_from,
            participant_to: row.participant_to,
            title: row.title,
            external_id: row.external_id,
            last_sequence: row.last_sequence,
            read_sequence: row.read_sequence,
            message_count: row.message_count,
            unread_count: row.unread_count,
            last_message_at: row.last_message_at.map(Into::into),
            metadata: Json::from_text(row.metadata.into_canonical()),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            version: row.version,
            edit_version: row.edit_version,
        })
    }
}
