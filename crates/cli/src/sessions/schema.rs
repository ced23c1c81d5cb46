//! Schema of sessions, for reading and writing.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};

use super::message::SessionMessage;
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
