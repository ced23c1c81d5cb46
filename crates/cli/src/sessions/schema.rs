//! Schema of sessions, for reading and writing.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use super::timestamp::SessionTimestamp;

/// A session.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    #[serde(
        rename = "session_id",
        alias = "external_id",
        deserialize_with = "name"
    )]
    pub(super) name: Option<String>,
    /// Alternative to `session_id`.
    #[serde(skip_serializing, deserialize_with = "name")]
    pub(super) id: Option<String>,
    #[serde(alias = "user_email", skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) participant_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) participant_to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<SessionTimestamp>,
    #[serde(alias = "metadata", skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<Map<String, Value>>,
    pub(super) messages: Option<Vec<SessionMessage>>,
}

/// A message of a session.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SessionMessage {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) direction: Option<String>,
    #[serde(alias = "body")]
    pub(super) content: Option<String>,
    #[serde(
        alias = "timestamp",
        alias = "time",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) created_at: Option<SessionTimestamp>,
    #[serde(
        alias = "tokens",
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) tokens_used: Option<i64>,
    #[serde(
        alias = "latency",
        deserialize_with = "whole",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) latency_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) html_body: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cc_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) attachments: Vec<File>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider_message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<Fault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sent_at: Option<SessionTimestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivered_at: Option<SessionTimestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) read_at: Option<SessionTimestamp>,
}

/// An attachment with a URL.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct File {
    pub(super) filename: String,
    pub(super) content_type: String,
    pub(super) size_bytes: i64,
    pub(super) url: String,
}

/// The error of a message.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Fault {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) provider_code: String,
}

/// Reads a name, which may be a number.
fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Name {
        Text(String),
        Number(Number),
    }
    Ok(match Option::<Name>::deserialize(from)? {
        None => None,
        Some(Name::Text(text)) => Some(text),
        Some(Name::Number(number)) => Some(number.to_string()),
    })
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
