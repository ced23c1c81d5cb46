//! JSON of a conversation.

use parlance_domain::{Channel, Conversation, ConversationId, ConversationStatus, Timestamp};
use serde::{Deserialize, Serialize};

use super::scalar::{Data, NonNullText, OwnerText, Scalar, Text, required_nullable};

/// The field names are a contract with other readers of Redis.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ConversationText<'a> {
    id: Scalar<ConversationId>,
    #[serde(borrow)]
    owner: OwnerText<'a>,
    #[serde(borrow)]
    user: Text<'a>,
    #[serde(borrow)]
    participant_from: Text<'a>,
    #[serde(borrow)]
    participant_to: Text<'a>,
    channel_type: Scalar<Channel>,
    status: Scalar<ConversationStatus>,
    #[serde(borrow, deserialize_with = "required_nullable")]
    external_id: Option<NonNullText<'a>>,
    last_sequence: i64,
    read_sequence: i64,
    message_count: i64,
    unread_count: i64,
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(deserialize_with = "required_nullable")]
    last_message_at: Option<Scalar<Timestamp>>,
    created_at: Scalar<Timestamp>,
    updated_at: Scalar<Timestamp>,
    version: i64,
    edit_version: i64,
    #[serde(borrow)]
    meta_data: Data<'a>,
}

impl<'a> From<&'a Conversation> for ConversationText<'a> {
    fn from(conversation: &'a Conversation) -> Self {
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
            id: Scalar(*id),
            owner: owner.into(),
            user: user.into(),
            participant_from: participant_from.into(),
            participant_to: participant_to.into(),
            channel_type: Scalar(*channel),
            status: Scalar(*status),
            external_id: external_id.as_ref().map(Into::into),
            last_sequence: *last_sequence,
            read_sequence: *read_sequence,
            message_count: *message_count,
            unread_count: *unread_count,
            title: title.into(),
            last_message_at: last_message_at.map(Scalar),
            created_at: Scalar(*created_at),
            updated_at: Scalar(*updated_at),
            version: *version,
            edit_version: *edit_version,
            meta_data: metadata.into(),
        }
    }
}

impl ConversationText<'_> {
    pub(super) fn into_conversation(self) -> Option<Conversation> {
        let Self {
            id: Scalar(id),
            owner,
            user,
            participant_from,
            participant_to,
            channel_type: Scalar(channel),
            status: Scalar(status),
            external_id,
            last_sequence,
            read_sequence,
            message_count,
            unread_count,
            title,
            last_message_at,
            created_at: Scalar(created_at),
            updated_at: Scalar(updated_at),
            version,
            edit_version,
            meta_data,
        } = self;
        Some(Conversation {
            id,
            owner: owner.owner()?,
            user: user.into(),
            channel,
            participant_from: participant_from.into(),
            participant_to: participant_to.into(),
            title: title.into(),
            status,
            external_id: external_id.map(Into::into),
            last_sequence,
            read_sequence,
            message_count,
            unread_count,
            last_message_at: last_message_at.map(|at| at.0),
            metadata: meta_data.into(),
            created_at,
            updated_at,
            version,
            edit_version,
        })
    }
}
