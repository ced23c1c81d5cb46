//! Hand-over of one message: the message itself, its sender, and the attempt.

use std::fmt;
use std::sync::Arc;

use parlance_domain::{MessageId, Owner, Sender, Timestamp};

use crate::Content;

/// Id of one hand-over of a message. It is part of the callback URL and, as a text, of the metadata that providers return,
/// so that a report names the attempt even if the provider's answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptId {
    /// The message.
    pub message_id: MessageId,
    /// Number of the attempt: 1, 2, 3, ...
    pub number: i32,
}

impl AttemptId {
    /// Parses the text of an attempt id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (message_id, number) = text.split_once('.')?;
        Some(Self {
            message_id: MessageId::parse(message_id)?,
            number: number.parse().ok().filter(|number| *number > 0)?,
        })
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.message_id, self.number)
    }
}

/// What every hand-over has, whatever the channel.
#[derive(Debug, Clone)]
pub struct HandOver {
    /// The owner of the message.
    pub owner: Owner,
    /// The attempt. Providers that take an idempotency key derive it from the message id alone.
    pub attempt: AttemptId,
    /// The sender with its settings, as it was when the message was claimed. `credentials` is a name, which the provider
    /// looks up among those that it was configured with.
    pub sender: Arc<Sender>,
    /// URL at which the provider can report the status of this attempt; its query is `message=<id>&attempt=<number>`.
    /// `None` for a provider without webhooks.
    pub callback_url: Option<String>,
    /// Time after which the message must not be sent.
    pub expires_at: Option<Timestamp>,
}

/// Outbound text message.
#[derive(Debug, Clone)]
pub struct Text {
    /// Sender, attempt and callback URL.
    pub hand_over: HandOver,
    /// Our address.
    pub from: String,
    /// Their address.
    pub to: String,
    /// The text.
    pub body: String,
    /// Attachments; with any, the message is an MMS.
    pub attachments: Vec<OutboundAttachment>,
}

impl Text {
    /// Id of the message.
    #[must_use]
    pub const fn message_id(&self) -> MessageId {
        self.hand_over.attempt.message_id
    }
}

/// Outbound mail.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Sender, attempt and callback URL.
    pub hand_over: HandOver,
    /// Our address.
    pub from: String,
    /// Their address.
    pub to: String,
    /// Further recipients.
    pub cc: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub body: String,
    /// The HTML text; may be empty.
    pub html_body: String,
    /// Attachments.
    pub attachments: Vec<OutboundAttachment>,
}

/// Attachment of an outbound message.
#[derive(Debug, Clone)]
pub struct OutboundAttachment {
    /// File name shown to the recipient; may be empty.
    pub filename: String,
    /// The MIME type; may be empty.
    pub content_type: String,
    /// The content.
    pub content: OutboundContent,
    /// URL at which the provider can fetch stored content for a short time; `None` if it has no key for such URLs.
    pub link: Option<String>,
}

/// Content of an attachment of an outbound message.
#[derive(Debug, Clone)]
pub enum OutboundContent {
    /// Location of the content, which is not stored here.
    Url(String),
    /// Stored content, read when it is needed.
    Stored(Content),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_id_round_trips_and_any_other_text_is_refused() {
        let message_id = MessageId::new(Timestamp::from_micros(1), [7; 10]);
        let id = AttemptId {
            message_id,
            number: 12,
        };
        assert_eq!(AttemptId::parse(&id.to_string()), Some(id));
        for text in [
            String::new(),
            message_id.to_string(),
            format!("{message_id}."),
            format!("{message_id}.0"),
            format!("{message_id}.-1"),
            format!("{message_id}.1.1"),
            "x.1".to_owned(),
        ] {
            assert_eq!(AttemptId::parse(&text), None, "{text}");
        }
    }
}
