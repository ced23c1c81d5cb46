//! JSON of the REST API. Only the fields that are used are read; the others change without notice.

use parlance_domain::Timestamp;
use serde::Deserialize;

use super::time;

/// A message as the API shows it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct MessageResource {
    pub(super) sid: String,
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    direction: Option<String>,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    body: Option<String>,
    /// A number, as a string.
    #[serde(default)]
    num_media: Option<String>,
    #[serde(default)]
    messaging_service_sid: Option<String>,
    #[serde(default)]
    date_created: Option<String>,
}

/// A page of messages.
#[derive(Debug, Deserialize)]
pub(super) struct MessagePage {
    pub(super) messages: Vec<MessageResource>,
    /// Path and query of the next page.
    #[serde(default)]
    pub(super) next_page_uri: Option<String>,
}

/// An error.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorResource {
    #[serde(default)]
    pub(super) code: Option<i64>,
    #[serde(default)]
    pub(super) message: Option<String>,
}

impl MessageResource {
    pub(super) fn is_outbound(&self) -> bool {
        let direction = self.direction.as_deref().unwrap_or_default();
        direction.starts_with("outbound")
    }

    pub(super) fn from(&self) -> &str {
        self.from.as_deref().unwrap_or_default()
    }

    pub(super) fn to(&self) -> &str {
        self.to.as_deref().unwrap_or_default()
    }

    pub(super) fn body(&self) -> &str {
        self.body.as_deref().unwrap_or_default()
    }

    pub(super) fn messaging_service_sid(&self) -> &str {
        self.messaging_service_sid.as_deref().unwrap_or_default()
    }

    /// Number of attachments.
    pub(super) fn media(&self) -> usize {
        let media = self.num_media.as_deref().unwrap_or_default();
        media.parse().unwrap_or_default()
    }

    pub(super) fn created_at(&self) -> Option<Timestamp> {
        time::parse_rfc2822(self.date_created.as_deref()?)
    }
}

/// Whether a text is an id of the API, which may be part of a path.
pub(super) fn is_sid(text: &str) -> bool {
    (2..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}
