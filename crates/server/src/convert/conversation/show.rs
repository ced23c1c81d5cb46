//! Conversion of conversations to the contract.

use bytes::Bytes;
use parlance_app::{Page, etag};
use parlance_domain::Conversation;
use parlance_proto::v1;
use prost::Message as _;

use crate::convert::enums;
use crate::convert::metadata;
use crate::convert::time::timestamp_to_proto;

/// Converts a conversation.
pub(crate) fn to_proto(conversation: Conversation) -> v1::Conversation {
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
        last_sequence: _, // the newest message has it
        read_sequence: _, // returned as `unread_count`
        message_count,
        unread_count,
        last_message_at,
        metadata,
        created_at,
        updated_at,
        version,
        edit_version,
    } = conversation;
    v1::Conversation {
        id: id.to_string(),
        owner: owner.to_string(),
        user,
        channel: enums::channel_to_proto(channel),
        participant_from,
        participant_to,
        title,
        status: enums::conversation_status_to_proto(status),
        external_id: external_id.unwrap_or_default(),
        message_count,
        unread_count,
        last_message_at: last_message_at.map(timestamp_to_proto),
        metadata: metadata::to_proto(&metadata),
        created_at: Some(timestamp_to_proto(created_at)),
        updated_at: Some(timestamp_to_proto(updated_at)),
        version,
        etag: etag(edit_version),
    }
}

/// Conversation, encoded as a reply.
pub(crate) fn encode(conversation: &Conversation) -> Bytes {
    to_proto(conversation.clone()).encode_to_vec().into()
}

/// Page of conversations, encoded as a reply.
pub(crate) fn encode_list(page: &Page<Conversation>) -> Bytes {
    list_to_proto(page.clone()).encode_to_vec().into()
}

/// Converts a page of conversations.
pub(crate) fn list_to_proto(page: Page<Conversation>) -> v1::ListConversationsResponse {
    let Page {
        items,
        next_page_token,
        total_size,
    } = page;
    v1::ListConversationsResponse {
        conversations: items.into_iter().map(to_proto).collect(),
        next_page_token,
        total_size: total_size.unwrap_or_default(),
    }
}
