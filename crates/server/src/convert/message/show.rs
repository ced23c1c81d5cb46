//! Messages as the contract shows them.

use parlance_app::messages::MessageBatch;
use parlance_app::{Page, etag};
use parlance_domain::message::{Fault, Progress};
use parlance_domain::{Attachment, Message};
use parlance_proto::v1;

use crate::convert::enums;
use crate::convert::metadata;
use crate::convert::time::timestamp_to_proto;

/// A message.
pub(crate) fn to_proto(message: Message) -> v1::Message {
    let Message {
        id,
        owner: _, // whoever reads it is the owner
        conversation_id,
        sequence,
        channel,
        direction,
        role,
        from_address,
        to_address,
        cc_addresses,
        subject,
        body,
        html_body,
        attachments,
        provider,
        provider_message_id,
        progress,
        segments,
        tokens_used,
        latency_ms,
        metadata,
        policy: _,        // the dispatcher's
        counts_unread: _, // the conversation shows the sum
        send_at,
        expires_at,
        created_at,
        updated_at,
        version,
        edit_version,
    } = message;
    let Progress {
        status,
        attempt: _, // the dispatcher's
        error,
        sent_at,
        delivered_at,
        read_at,
    } = progress;
    v1::Message {
        id: id.to_string(),
        conversation_id: conversation_id.to_string(),
        sequence,
        channel: enums::channel_to_proto(channel),
        direction: enums::direction_to_proto(direction),
        status: enums::message_status_to_proto(status),
        role: role.map(enums::role_to_proto).unwrap_or_default(),
        from_address,
        to_address,
        cc_addresses,
        subject,
        body,
        html_body,
        attachments: attachments.into_iter().map(attachment).collect(),
        provider: provider.unwrap_or_default(),
        provider_message_id: provider_message_id.unwrap_or_default(),
        error: error.map(fault),
        segments,
        tokens_used,
        latency_ms,
        metadata: metadata::to_proto(&metadata),
        send_at: send_at.map(timestamp_to_proto),
        expires_at: expires_at.map(timestamp_to_proto),
        sent_at: sent_at.map(timestamp_to_proto),
        delivered_at: delivered_at.map(timestamp_to_proto),
        read_at: read_at.map(timestamp_to_proto),
        created_at: Some(timestamp_to_proto(created_at)),
        updated_at: Some(timestamp_to_proto(updated_at)),
        version,
        etag: etag(edit_version),
    }
}

fn attachment(attachment: Attachment) -> v1::Attachment {
    let Attachment {
        id,
        filename,
        content_type,
        size_bytes,
        url,
    } = attachment;
    v1::Attachment {
        id: id.to_string(),
        filename,
        content_type,
        size_bytes,
        url: url.unwrap_or_default(),
    }
}

fn fault(fault: Fault) -> v1::MessageError {
    let Fault {
        code,
        message,
        provider_code,
        from: _,        // how reports are merged
        occurred_at: _, // likewise
    } = fault;
    v1::MessageError {
        code,
        message,
        provider_code,
    }
}

/// What a batch found.
pub(crate) fn batch_to_proto(batch: MessageBatch) -> v1::BatchGetMessagesResponse {
    let MessageBatch { messages, missing } = batch;
    v1::BatchGetMessagesResponse {
        messages: messages.into_iter().map(to_proto).collect(),
        missing_ids: missing.iter().map(ToString::to_string).collect(),
    }
}

/// A page of messages.
pub(crate) fn list_to_proto(page: Page<Message>) -> v1::ListMessagesResponse {
    let Page {
        items,
        next_page_token,
        total_size,
    } = page;
    v1::ListMessagesResponse {
        messages: items.into_iter().map(to_proto).collect(),
        next_page_token,
        total_size: total_size.unwrap_or_default(),
    }
}
