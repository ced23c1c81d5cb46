//! Messages.

mod other_fields;

use diesel::prelude::*;
use diesel::{pg::Pg, sqlite::Sqlite};
use parlance_domain::message::{Fault, Progress, ReportStatus};
use parlance_domain::{Attachment, AttachmentId, Channel, Direction, Json, Message, MessageStatus};
use serde::{Deserialize, Serialize};

pub(crate) use other_fields::OtherFields;

use super::{owner, word};
use crate::error::{StorageError, StorageResult};
use crate::fields::{Doc, Id, Instant};
use crate::schema::messages;

/// The columns of a message that its removal needs.
#[derive(Clone, Debug, Queryable)]
pub(crate) struct RemovalRow {
    pub(crate) id: Id,
    pub(crate) direction: String,
    pub(crate) provider: Option<String>,
    pub(crate) provider_message_id: Option<String>,
    /// Bytes of its texts.
    pub(crate) bytes: i64,
}

/// A message. The feed stores its serialized form, so fields may be added but not renamed.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, Serialize, Deserialize)]
#[diesel(table_name = messages, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
pub(crate) struct MessageRow {
    pub(crate) id: Id,
    pub(crate) owner: String,
    pub(crate) conversation_id: Id,
    pub(crate) sequence: i64,
    pub(crate) channel: String,
    pub(crate) direction: String,
    pub(crate) status: String,
    pub(crate) from_address: String,
    pub(crate) to_address: String,
    pub(crate) cc_addresses: Doc,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) html_body: String,
    pub(crate) attachments: Doc,
    pub(crate) provider: Option<String>,
    pub(crate) provider_message_id: Option<String>,
    pub(crate) attempt: i32,
    pub(crate) error: Option<Doc>,
    pub(crate) segments: i32,
    pub(crate) tokens_used: Option<i64>,
    pub(crate) metadata: Doc,
    pub(crate) other_fields: Doc,
    pub(crate) counts_unread: bool,
    pub(crate) send_at: Option<Instant>,
    pub(crate) expires_at: Option<Instant>,
    pub(crate) sent_at: Option<Instant>,
    pub(crate) delivered_at: Option<Instant>,
    pub(crate) read_at: Option<Instant>,
    pub(crate) created_at: Instant,
    pub(crate) updated_at: Instant,
    pub(crate) version: i64,
    pub(crate) edit_version: i64,
}

/// All columns of a message that a write changes, in one guarded statement. `other_fields` is not one of them: the
/// fields in it that only a newer instance knows would be lost.
#[derive(Clone, Debug, AsChangeset)]
#[diesel(table_name = messages, treat_none_as_null = true)]
pub(crate) struct MessageChange {
    pub(crate) status: String,
    pub(crate) body: String,
    pub(crate) provider: Option<String>,
    pub(crate) provider_message_id: Option<String>,
    pub(crate) attempt: i32,
    pub(crate) error: Option<Doc>,
    pub(crate) segments: i32,
    pub(crate) metadata: Doc,
    pub(crate) send_at: Option<Instant>,
    pub(crate) expires_at: Option<Instant>,
    pub(crate) sent_at: Option<Instant>,
    pub(crate) delivered_at: Option<Instant>,
    pub(crate) read_at: Option<Instant>,
    pub(crate) updated_at: Instant,
    pub(crate) version: i64,
    pub(crate) edit_version: i64,
}

/// A fault as its column stores it.
#[derive(Serialize, Deserialize)]
struct FaultDoc {
    code: String,
    message: String,
    provider_code: String,
    from: String,
    occurred_at: i64,
}

/// An attachment without its content, as the message's column stores it.
#[derive(Serialize, Deserialize)]
struct AttachmentDoc {
    id: uuid::Uuid,
    filename: String,
    content_type: String,
    size_bytes: i64,
    url: Option<String>,
}

impl From<&Message> for MessageRow {
    fn from(message: &Message) -> Self {
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
            id: (*id).into(),
            owner: owner.as_str().to_owned(),
            conversation_id: (*conversation_id).into(),
            sequence: *sequence,
            channel: channel.as_str().to_owned(),
            direction: direction.as_str().to_owned(),
            status: status.as_str().to_owned(),
            from_address: from_address.clone(),
            to_address: to_address.clone(),
            cc_addresses: list(cc_addresses, |items| Doc::of(&items)),
            subject: subject.clone(),
            body: body.clone(),
            html_body: html_body.clone(),
            attachments: list(attachments, attachments_doc),
            provider: provider.clone(),
            provider_message_id: provider_message_id.clone(),
            attempt: *attempt,
            error: error.as_ref().map(fault_doc),
            segments: *segments,
            tokens_used: *tokens_used,
            metadata: Doc(metadata.as_str().to_owned()),
            other_fields: OtherFields {
                role: *role,
                latency_ms: *latency_ms,
                policy: *policy,
                quoted_body: quoted_body.clone(),
            }
            .to_doc(),
            counts_unread: *counts_unread,
            send_at: send_at.map(Into::into),
            expires_at: expires_at.map(Into::into),
            sent_at: sent_at.map(Into::into),
            delivered_at: delivered_at.map(Into::into),
            read_at: read_at.map(Into::into),
            created_at: (*created_at).into(),
            updated_at: (*updated_at).into(),
            version: *version,
            edit_version: *edit_version,
        }
    }
}

impl From<MessageRow> for MessageChange {
    fn from(row: MessageRow) -> Self {
        Self {
            status: row.status,
            body: row.body,
            provider: row.provider,
            provider_message_id: row.provider_message_id,
            attempt: row.attempt,
            error: row.error,
            segments: row.segments,
            metadata: row.metadata,
            send_at: row.send_at,
            expires_at: row.expires_at,
            sent_at: row.sent_at,
            delivered_at: row.delivered_at,
            read_at: row.read_at,
            updated_at: row.updated_at,
            version: row.version,
            edit_version: row.edit_version,
        }
    }
}

impl TryFrom<MessageRow> for Message {
    type Error = StorageError;

    fn try_from(row: MessageRow) -> StorageResult<Self> {
        let bad = |column| StorageError::inconsistent("messages", column, row.id.0);
        let progress = Progress {
            status: word!("messages", row, status, MessageStatus)?,
            attempt: row.attempt,
            error: row
                .error
                .as_ref()
                .map(|doc| fault(doc).ok_or_else(|| bad("error")))
                .transpose()?,
            sent_at: row.sent_at.map(Into::into),
            delivered_at: row.delivered_at.map(Into::into),
            read_at: row.read_at.map(Into::into),
        };
        let OtherFields {
            role,
            latency_ms,
            policy,
            quoted_body,
        } = OtherFields::parse(&row.other_fields).ok_or_else(|| bad("other_fields"))?;
        Ok(Self {
            id: row.id.into(),
            owner: owner("messages", &row.owner, row.id.0)?,
            conversation_id: row.conversation_id.into(),
            sequence: row.sequence,
            channel: word!("messages", row, channel, Channel)?,
            direction: word!("messages", row, direction, Direction)?,
            role,
            cc_addresses: strings(&row.cc_addresses).ok_or_else(|| bad("cc_addresses"))?,
            attachments: attachments(&row.attachments).ok_or_else(|| bad("attachments"))?,
            policy,
            progress,
            from_address: row.from_address,
            to_address: row.to_address,
            subject: row.subject,
            body: row.body,
            html_body: row.html_body,
            quoted_body,
            provider: row.provider,
            provider_message_id: row.provider_message_id,
            segments: row.segments,
            tokens_used: row.tokens_used,
            latency_ms,
            metadata: Json::from_text(row.metadata.into_canonical()),
            counts_unread: row.counts_unread,
            send_at: row.send_at.map(Into::into),
            expires_at: row.expires_at.map(Into::into),
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            version: row.version,
            edit_version: row.edit_version,
        })
    }
}

/// Most messages have neither: an empty list skips the serializer.
fn list<T>(items: &[T], to_doc: impl Fn(&[T]) -> Doc) -> Doc {
    if items.is_empty() {
        Doc("[]".to_owned())
    } else {
        to_doc(items)
    }
}

fn attachments_doc(items: &[Attachment]) -> Doc {
    let docs: Vec<_> = items
        .iter()
        .map(
            |Attachment {
                 id,
                 filename,
                 content_type,
                 size_bytes,
                 url,
             }| AttachmentDoc {
                id: id.uuid(),
                filename: filename.clone(),
                content_type: content_type.clone(),
                size_bytes: *size_bytes,
                url: url.clone(),
            },
        )
        .collect();
    Doc::of(&docs)
}

fn fault_doc(fault: &Fault) -> Doc {
    let Fault {
        code,
        message,
        provider_code,
        from,
        occurred_at,
    } = fault;
    Doc::of(&FaultDoc {
        code: code.clone(),
        message: message.clone(),
        provider_code: provider_code.clone(),
        from: from.as_str().to_owned(),
        occurred_at: occurred_at.as_micros(),
    })
}

fn fault(doc: &Doc) -> Option<Fault> {
    let FaultDoc {
        code,
        message,
        provider_code,
        from,
        occurred_at,
    } = serde_json::from_str(&doc.0).ok()?;
    let from = ReportStatus::parse(&from)?;
    let occurred_at = parlance_domain::Timestamp::from_micros(occurred_at);
    Some(Fault {
        code,
        message,
        provider_code,
        from,
        occurred_at,
    })
}

fn strings(doc: &Doc) -> Option<Vec<String>> {
    if doc.0 == "[]" {
        return Some(Vec::new());
    }
    serde_json::from_str(&doc.0).ok()
}

fn attachments(doc: &Doc) -> Option<Vec<Attachment>> {
    if doc.0 == "[]" {
        return Some(Vec::new());
    }
    let docs: Vec<AttachmentDoc> = serde_json::from_str(&doc.0).ok()?;
    let one = |AttachmentDoc {
                   id,
                   filename,
                   content_type,
                   size_bytes,
                   url,
               }| Attachment {
        id: AttachmentId::from_uuid(id),
        filename,
        content_type,
        size_bytes,
        url,
    };
    Some(docs.into_iter().map(one).collect())
}
