//! JSON of a message.

use parlance_domain::message::{Fault, Progress, ReportStatus};
use parlance_domain::{
    Attachment, AttachmentId, Channel, ConversationId, DeliveryPolicy, Direction, Message,
    MessageId, MessageStatus, Role, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::scalar::{Data, NonNullText, OwnerText, Scalar, Text, required_nullable};

/// The field names are a contract with other readers of Redis. `sequence` comes first: the script that appends to a
/// list expects it there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MessageText<'a> {
    sequence: i64,
    id: Scalar<MessageId>,
    #[serde(borrow)]
    owner: OwnerText<'a>,
    conversation_id: Scalar<ConversationId>,
    #[serde(borrow, deserialize_with = "required_nullable")]
    provider: Option<NonNullText<'a>>,
    #[serde(borrow, deserialize_with = "required_nullable")]
    provider_message_id: Option<NonNullText<'a>>,
    direction: Scalar<Direction>,
    status: Scalar<MessageStatus>,
    message_type: Scalar<Channel>,
    #[serde(deserialize_with = "required_nullable")]
    role: Option<Scalar<Role>>,
    #[serde(borrow)]
    from_address: Text<'a>,
    #[serde(borrow)]
    to_address: Text<'a>,
    cc_addresses: Vec<String>,
    #[serde(borrow)]
    subject: Text<'a>,
    #[serde(borrow)]
    body: Text<'a>,
    #[serde(borrow)]
    html_body: Text<'a>,
    #[serde(borrow)]
    quoted_body: Text<'a>,
    #[serde(borrow)]
    attachments: Vec<AttachmentText<'a>>,
    #[serde(borrow, deserialize_with = "required_nullable")]
    error: Option<FaultText<'a>>,
    attempt: i32,
    segments: i32,
    #[serde(deserialize_with = "required_nullable")]
    tokens_used: Option<i64>,
    #[serde(deserialize_with = "required_nullable")]
    latency_ms: Option<i64>,
    policy: Scalar<DeliveryPolicy>,
    counts_unread: bool,
    #[serde(deserialize_with = "required_nullable")]
    send_at: Option<Scalar<Timestamp>>,
    #[serde(deserialize_with = "required_nullable")]
    expires_at: Option<Scalar<Timestamp>>,
    #[serde(deserialize_with = "required_nullable")]
    sent_at: Option<Scalar<Timestamp>>,
    #[serde(deserialize_with = "required_nullable")]
    delivered_at: Option<Scalar<Timestamp>>,
    #[serde(deserialize_with = "required_nullable")]
    read_at: Option<Scalar<Timestamp>>,
    created_at: Scalar<Timestamp>,
    updated_at: Scalar<Timestamp>,
    version: i64,
    edit_version: i64,
    #[serde(borrow)]
    meta_data: Data<'a>,
    /// Only in lists: whether it is the first message of its conversation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    first: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct AttachmentText<'a> {
    id: Scalar<AttachmentId>,
    #[serde(borrow)]
    filename: Text<'a>,
    #[serde(borrow)]
    content_type: Text<'a>,
    size_bytes: i64,
    #[serde(borrow, deserialize_with = "required_nullable")]
    url: Option<NonNullText<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FaultText<'a> {
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    provider_code: Text<'a>,
    from: Scalar<ReportStatus>,
    occurred_at: Scalar<Timestamp>,
}

impl<'a> MessageText<'a> {
    pub(super) fn new(message: &'a Message, is_first: bool) -> Self {
        let Message {
            id,
            owner,
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
            quoted_body,
            attachments,
            provider,
            provider_message_id,
            progress,
            segments,
            tokens_used,
            latency_ms,
            metadata,
            policy,
            counts_unread,
            send_at,
            expires_at,
            created_at,
            updated_at,
            version,
            edit_version,
        } = message;
        let Progress {
            status,
            attempt,
            error,
            sent_at,
            delivered_at,
            read_at,
        } = progress;
        Self {
            sequence: *sequence,
            id: Scalar(*id),
            owner: owner.into(),
            conversation_id: Scalar(*conversation_id),
            provider: provider.as_ref().map(Into::into),
            provider_message_id: provider_message_id.as_ref().map(Into::into),
            direction: Scalar(*direction),
            status: Scalar(*status),
            message_type: Scalar(*channel),
            role: role.map(Scalar),
            from_address: from_address.into(),
            to_address: to_address.into(),
            cc_addresses: cc_addresses.clone(),
            subject: subject.into(),
            body: body.into(),
            html_body: html_body.into(),
            quoted_body: quoted_body.into(),
            attachments: attachments.iter().map(Into::into).collect(),
            error: error.as_ref().map(Into::into),
            attempt: *attempt,
            segments: *segments,
            tokens_used: *tokens_used,
            latency_ms: *latency_ms,
            policy: Scalar(*policy),
            counts_unread: *counts_unread,
            send_at: send_at.map(Scalar),
            expires_at: expires_at.map(Scalar),
            sent_at: sent_at.map(Scalar),
            delivered_at: delivered_at.map(Scalar),
            read_at: read_at.map(Scalar),
            created_at: Scalar(*created_at),
            updated_at: Scalar(*updated_at),
            version: *version,
            edit_version: *edit_version,
            meta_data: metadata.into(),
            first: is_first,
        }
    }

    pub(super) fn into_message(self) -> Option<(Message, bool)> {
        let Self {
            sequence,
            id: Scalar(id),
            owner,
            conversation_id: Scalar(conversation_id),
            provider,
            provider_message_id,
            direction: Scalar(direction),
            status: Scalar(status),
            message_type: Scalar(channel),
            role,
            from_address,
            to_address,
            cc_addresses,
            subject,
            body,
            html_body,
            quoted_body,
            attachments,
            error,
            attempt,
            segments,
            tokens_used,
            latency_ms,
            policy: Scalar(policy),
            counts_unread,
            send_at,
            expires_at,
            sent_at,
            delivered_at,
            read_at,
            created_at: Scalar(created_at),
            updated_at: Scalar(updated_at),
            version,
            edit_version,
            meta_data,
            first,
        } = self;
        let progress = Progress {
            status,
            attempt,
            error: error.map(Into::into),
            sent_at: sent_at.map(|at| at.0),
            delivered_at: delivered_at.map(|at| at.0),
            read_at: read_at.map(|at| at.0),
        };
        let message = Message {
            id,
            owner: owner.owner()?,
            conversation_id,
            sequence,
            channel,
            direction,
            role: role.map(|role| role.0),
            from_address: from_address.into(),
            to_address: to_address.into(),
            cc_addresses,
            subject: subject.into(),
            body: body.into(),
            html_body: html_body.into(),
            quoted_body: quoted_body.into(),
            attachments: attachments.into_iter().map(Into::into).collect(),
            provider: provider.map(Into::into),
            provider_message_id: provider_message_id.map(Into::into),
            progress,
            segments,
            tokens_used,
            latency_ms,
            metadata: meta_data.into(),
            policy,
            counts_unread,
            send_at: send_at.map(|at| at.0),
            expires_at: expires_at.map(|at| at.0),
            created_at,
            updated_at,
            version,
            edit_version,
        };
        Some((message, first))
    }
}

impl<'a> From<&'a Attachment> for AttachmentText<'a> {
    fn from(attachment: &'a Attachment) -> Self {
        let Attachment {
            id,
            filename,
            content_type,
            size_bytes,
            url,
        } = attachment;
        Self {
            id: Scalar(*id),
            filename: filename.into(),
            content_type: content_type.into(),
            size_bytes: *size_bytes,
            url: url.as_ref().map(Into::into),
        }
    }
}

impl From<AttachmentText<'_>> for Attachment {
    fn from(text: AttachmentText<'_>) -> Self {
        let AttachmentText {
            id: Scalar(id),
            filename,
            content_type,
            size_bytes,
            url,
        } = text;
        Self {
            id,
            filename: filename.into(),
            content_type: content_type.into(),
            size_bytes,
            url: url.map(Into::into),
        }
    }
}

impl<'a> From<&'a Fault> for FaultText<'a> {
    fn from(fault: &'a Fault) -> Self {
        let Fault {
            code,
            message,
            provider_code,
            from,
            occurred_at,
        } = fault;
        Self {
            code: code.into(),
            message: message.into(),
            provider_code: provider_code.into(),
            from: Scalar(*from),
            occurred_at: Scalar(*occurred_at),
        }
    }
}

impl From<FaultText<'_>> for Fault {
    fn from(text: FaultText<'_>) -> Self {
        let FaultText {
            code,
            message,
            provider_code,
            from: Scalar(from),
            occurred_at: Scalar(occurred_at),
        } = text;
        Self {
            code: code.into(),
            message: message.into(),
            provider_code: provider_code.into(),
            from,
            occurred_at,
        }
    }
}
