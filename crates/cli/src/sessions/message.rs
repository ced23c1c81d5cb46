//! A message of a session: its schema, and its conversion from and to the contract.

use parlance_proto::v1;
use prost::Message as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use super::object;
use super::text::{EnumField, some, value_name};
use super::timestamp::SessionTimestamp;

/// Size limit of a message: it must fit in a request together with its conversation.
const MAX_MESSAGE_BYTES: usize = 3 * 1_024 * 1_024;

const ROLE: EnumField = EnumField {
    name: "role",
    prefix: "ROLE_",
    values: "user, assistant or system",
};
const DIRECTION: EnumField = EnumField {
    name: "direction",
    prefix: "DIRECTION_",
    values: "inbound or outbound",
};
const CHANNEL: EnumField = EnumField {
    name: "channel",
    prefix: "CHANNEL_",
    values: "sms, mms, email or chat",
};
const STATUS: EnumField = EnumField {
    name: "status",
    prefix: "MESSAGE_STATUS_",
    values: "received, sent, delivered, read, undelivered, failed, expired or canceled",
};

/// A message of a session.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SessionMessage {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<String>,
    #[serde(alias = "body")]
    content: Option<String>,
    #[serde(
        alias = "timestamp",
        alias = "time",
        skip_serializing_if = "Option::is_none"
    )]
    created_at: Option<SessionTimestamp>,
    #[serde(
        alias = "tokens",
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    tokens_used: Option<i64>,
    #[serde(
        alias = "latency",
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    latency_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html_body: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quoted_body: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cc_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<SessionTimestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<SessionTimestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<SessionTimestamp>,
}

/// An attachment with a URL.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct File {
    filename: String,
    content_type: String,
    size_bytes: i64,
    url: String,
}

/// The error of a message.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Fault {
    code: String,
    message: String,
    provider_code: String,
}

/// Converts a message of a session to the contract.
pub(super) fn read_message(message: SessionMessage, is_chat: bool) -> Result<v1::Message, String> {
    let SessionMessage {
        role,
        direction,
        content,
        created_at,
        tokens_used,
        latency_ms,
        metadata,
        channel,
        status,
        subject,
        html_body,
        quoted_body,
        cc_addresses,
        attachments,
        provider,
        provider_message_id,
        error,
        sent_at,
        delivered_at,
        read_at,
    } = message;
    if is_chat && role.is_none() {
        return Err(format!("role: required; use {}", ROLE.values));
    }
    let message = v1::Message {
        role: ROLE
            .parse_optional(role, v1::Role::from_str_name)?
            .map_or(0, i32::from),
        direction: DIRECTION
            .parse_optional(direction, v1::Direction::from_str_name)?
            .map_or(0, i32::from),
        body: content.unwrap_or_default(),
        created_at: created_at.map(|at| at.0),
        tokens_used,
        latency_ms,
        metadata: metadata.map(object::to_contract),
        channel: CHANNEL
            .parse_optional(channel, v1::Channel::from_str_name)?
            .map_or(0, i32::from),
        status: STATUS
            .parse_optional(status, v1::MessageStatus::from_str_name)?
            .map_or(0, i32::from),
        subject: subject.unwrap_or_default(),
        html_body: html_body.unwrap_or_default(),
        quoted_body: quoted_body.unwrap_or_default(),
        cc_addresses,
        attachments: attachments.into_iter().map(read_file).collect(),
        provider: provider.unwrap_or_default(),
        provider_message_id: provider_message_id.unwrap_or_default(),
        error: error.map(read_fault),
        sent_at: sent_at.map(|at| at.0),
        delivered_at: delivered_at.map(|at| at.0),
        read_at: read_at.map(|at| at.0),
        ..v1::Message::default()
    };
    if message.encoded_len() > MAX_MESSAGE_BYTES {
        return Err("content: the message is larger than 3 MiB".to_owned());
    }
    Ok(message)
}

fn read_file(file: File) -> v1::Attachment {
    let File {
        filename,
        content_type,
        size_bytes,
        url,
    } = file;
    v1::Attachment {
        id: String::new(),
        filename,
        content_type,
        size_bytes,
        url,
    }
}

fn read_fault(fault: Fault) -> v1::MessageError {
    let Fault {
        code,
        message,
        provider_code,
    } = fault;
    v1::MessageError {
        code,
        message,
        provider_code,
    }
}

/// Converts a message to a session, in a conversation of the channel `of`.
pub(super) fn write_message(message: v1::Message, of: v1::Channel) -> SessionMessage {
    let is_chat = of == v1::Channel::Chat;
    let (channel, status) = (message.channel(), message.status());
    let (role, direction) = (message.role(), message.direction());
    let received = direction == v1::Direction::Inbound && !is_chat;
    let default_status = if received {
        v1::MessageStatus::Received
    } else {
        v1::MessageStatus::Delivered
    };
    let at_once =
        status == v1::MessageStatus::Delivered && message.delivered_at == message.created_at;
    let v1::Message {
        id: _,
        conversation_id: _,
        sequence: _,
        channel: _,
        direction: _,
        status: _,
        role: _,
        from_address: _,
        to_address: _,
        cc_addresses,
        subject,
        body,
        html_body,
        quoted_body,
        attachments,
        provider,
        provider_message_id,
        error,
        segments: _,
        tokens_used,
        latency_ms,
        metadata,
        send_at: _,
        expires_at: _,
        sent_at,
        delivered_at,
        read_at,
        created_at,
        updated_at: _,
        version: _,
        etag: _,
    } = message;
    SessionMessage {
        role: is_chat.then(|| value_name("ROLE_", role.as_str_name())),
        direction: (!is_chat).then(|| value_name("DIRECTION_", direction.as_str_name())),
        content: Some(body),
        created_at: created_at.map(SessionTimestamp),
        tokens_used,
        latency_ms,
        metadata: metadata.map(object::from_contract),
        channel: (channel != of).then(|| value_name("CHANNEL_", channel.as_str_name())),
        status: (status != default_status)
            .then(|| value_name("MESSAGE_STATUS_", status.as_str_name())),
        subject: some(subject),
        html_body: some(html_body),
        quoted_body: some(quoted_body),
        cc_addresses,
        attachments: attachments.into_iter().filter_map(write_file).collect(),
        provider: some(provider),
        provider_message_id: some(provider_message_id),
        error: error.map(write_fault),
        sent_at: sent_at.map(SessionTimestamp),
        delivered_at: delivered_at.filter(|_| !at_once).map(SessionTimestamp),
        read_at: read_at.map(SessionTimestamp),
    }
}

fn write_file(file: v1::Attachment) -> Option<File> {
    let v1::Attachment {
        id: _,
        filename,
        content_type,
        size_bytes,
        url,
    } = file;
    (!url.is_empty()).then_some(File {
        filename,
        content_type,
        size_bytes,
        url,
    })
}

fn write_fault(error: v1::MessageError) -> Fault {
    let v1::MessageError {
        code,
        message,
        provider_code,
    } = error;
    Fault {
        code,
        message,
        provider_code,
    }
}

/// Reads a whole number. A fraction is rounded: milliseconds are often measured more precisely.
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
    use serde::de::Error as _;
    let Some(number) = Option::<Number>::deserialize(from)? else {
        return Ok(None);
    };
    if let Some(whole) = number.as_i64() {
        return Ok(Some(whole));
    }
    let rounded = number
        .as_f64()
        .map(|number| format!("{:.0}", number.round()));
    let whole = rounded.and_then(|rounded| rounded.parse().ok());
    whole
        .map(Some)
        .ok_or_else(|| D::Error::custom("number out of range"))
}
