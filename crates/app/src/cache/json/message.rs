//! A message's text.

use parlance_domain::message::{Fault, Progress, ReportStatus};
use parlance_domain::{
    Attachment, AttachmentId, Channel, ConversationId, DeliveryPolicy, Direction, Message,
    MessageId, MessageStatus, Role, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::scalar::{Data, Given, OwnerText, Text, Word, there};

/// The names of the fields are a contract with whoever reads Redis. `sequence` comes first: the script that appends to a list
/// looks for it there.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MessageText<'a> {
    sequence: i64,
    id: Word<MessageId>,
    #[serde(borrow)]
    owner: OwnerText<'a>,
    conversation_id: Word<ConversationId>,
    #[serde(borrow, deserialize_with = "there")]
    provider: Option<Given<'a>>,
    #[serde(borrow, deserialize_with = "there")]
    provider_message_id: Option<Given<'a>>,
    direction: Word<Direction>,
    status: Word<MessageStatus>,
    message_type: Word<Channel>,
    #[serde(deserialize_with = "there")]
    role: Option<Word<Role>>,
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
    attachments: Vec<AttachmentText<'a>>,
    #[serde(borrow, deserialize_with = "there")]
    error: Option<FaultText<'a>>,
    attempt: i32,
    segments: i32,
    #[serde(deserialize_with = "there")]
    tokens_used: Option<i64>,
    #[serde(deserialize_with = "there")]
    latency_ms: Option<i64>,
    policy: Word<DeliveryPolicy>,
    counts_unread: bool,
    #[serde(deserialize_with = "there")]
    send_at: Option<Word<Timestamp>>,
    #[serde(deserialize_with = "there")]
    expires_at: Option<Word<Timestamp>>,
    #[serde(deserialize_with = "there")]
    sent_at: Option<Word<Timestamp>>,
    #[serde(deserialize_with = "there")]
    delivered_at: Option<Word<Timestamp>>,
    #[serde(deserialize_with = "there")]
    read_at: Option<Word<Timestamp>>,
    created_at: Word<Timestamp>,
    updated_at: Word<Timestamp>,
    version: i64,
    edit_version: i64,
    #[serde(borrow)]
    meta_data: Data<'a>,
    /// In lists alone: that there is none before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    first: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct AttachmentText<'a> {
    id: Word<AttachmentId>,
    #[serde(borrow)]
    filename: Text<'a>,
    #[serde(borrow)]
    content_type: Text<'a>,
    size_bytes: i64,
    #[serde(borrow, deserialize_with = "there")]
    url: Option<Given<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct FaultText<'a> {
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow)]
    provider_code: Text<'a>,
    from: Word<ReportStatus>,
    occurred_at: Word<Timestamp>,
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
            id: Word(*id),
            owner: owner.into(),
            conversation_id: Word(*conversation_id),
            provider: provider.as_ref().map(Into::into),
            provider_message_id: provider_message_id.as_ref().map(Into::into),
            direction: Word(*direction),
            status: Word(*status),
            message_type: Word(*channel),
            role: role.map(Word),
            from_address: from_address.into(),
            to_address: to_address.into(),
            cc_addresses: cc_addresses.clone(),
            subject: subject.into(),
            body: body.into(),
            html_body: html_body.into(),
            attachments: attachments.iter().map(Into::into).collect(),
            error: error.as_ref().map(Into::into),
            attempt: *attempt,
            segments: *segments,
            tokens_used: *tokens_used,
            latency_ms: *latency_ms,
            policy: Word(*policy),
            counts_unread: *counts_unread,
            send_at: send_at.map(Word),
            expires_at: expires_at.map(Word),
            sent_at: sent_at.map(Word),
            delivered_at: delivered_at.map(Word),
            read_at: read_at.map(Word),
            created_at: Word(*created_at),
            updated_at: Word(*updated_at),
            version: *version,
            edit_version: *edit_version,
            meta_data: metadata.into(),
            first: is_first,
        }
    }

    pub(super) fn into_message(self) -> Option<(Message, bool)> {
        let Self {
            sequence,
            id: Word(id),
            owner,
            conversation_id: Word(conversation_id),
            provider,
            provider_message_id,
            direction: Word(direction),
            status: Word(status),
            message_type: Word(channel),
            role,
            from_address,
            to_address,
            cc_addresses,
            subject,
            body,
            html_body,
            attachments,
            error,
            attempt,
            segments,
            tokens_used,
            latency_ms,
            policy: Word(policy),
            counts_unread,
            send_at,
            expires_at,
            sent_at,
            delivered_at,
            read_at,
            created_at: Word(created_at),
            updated_at: Word(updated_at),
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
            id: Word(*id),
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
            id: Word(id),
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
            from: Word(*from),
            occurred_at: Word(*occurred_at),
        }
    }
}

impl From<FaultText<'_>> for Fault {
    fn from(text: FaultText<'_>) -> Self {
        let FaultText {
            code,
            message,
            provider_code,
            from: Word(from),
            occurred_at: Word(occurred_at),
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
