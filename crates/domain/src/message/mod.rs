//! Messages and the rules by which they change.

mod content;
mod progress;
mod report;
mod schedule;
mod status;
mod transition;

pub use content::{AttachmentView, Content, ContentView, Limits, MAX_CC_ADDRESSES};
pub use progress::{Fault, Progress, ProgressEvent};
pub use report::{
    MAX_ERROR_CODE_CHARS, MAX_ERROR_MESSAGE_CHARS, MAX_PROVIDER_MESSAGE_ID_CHARS, Report,
    ReportStatus, ReportedError, is_provider_message_id,
};
pub use schedule::ScheduleView;
pub use status::MessageStatus;
pub use transition::{Edit, MessageEvent, Transition};

use crate::text_enum::text_enum;
use crate::{
    Attachment, Channel, Conversation, ConversationId, Direction, Json, MessageId, Owner, Role,
    Timestamp, sms,
};

text_enum! {
    /// What to do after a hand-over that got no response.
    pub enum DeliveryPolicy {
        /// Hand over again: the message is never lost, but may arrive twice.
        AtLeastOnce = "at_least_once",
        /// Leave it uncertain: the message never arrives twice, but may be lost.
        AtMostOnce = "at_most_once",
    }
}

/// A message as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Id.
    pub id: MessageId,
    /// The owner that it belongs to.
    pub owner: Owner,
    /// The conversation that holds it.
    pub conversation_id: ConversationId,
    /// Its number in the conversation: 1, 2, 3, ... in the order of commit.
    pub sequence: i64,
    /// Channel.
    pub channel: Channel,
    /// Direction.
    pub direction: Direction,
    /// Author; chat only.
    pub role: Option<Role>,
    /// Origin in canonical form; empty for chat.
    pub from_address: String,
    /// Recipient in canonical form; empty for chat.
    pub to_address: String,
    /// Further recipients; mail only.
    pub cc_addresses: Vec<String>,
    /// Subject; mail only, may be empty.
    pub subject: String,
    /// Plain text; may be empty if there is an HTML body or an attachment.
    pub body: String,
    /// HTML text; mail only, may be empty.
    pub html_body: String,
    /// Text that a reply quotes and the body does not have; mail only, may be empty.
    pub quoted_body: String,
    /// Attachments.
    pub attachments: Vec<Attachment>,
    /// Provider that the message is or was handed to.
    pub provider: Option<String>,
    /// The provider's id of the message.
    pub provider_message_id: Option<String>,
    /// Delivery progress.
    pub progress: Progress,
    /// SMS segments; 0 for other channels.
    pub segments: i32,
    /// Tokens used to generate the message, as reported by the caller.
    pub tokens_used: Option<i64>,
    /// Milliseconds that generating the message took, as reported by the caller.
    pub latency_ms: Option<i64>,
    /// Metadata of the owner.
    pub metadata: Json,
    /// What to do after a hand-over that got no response.
    pub policy: DeliveryPolicy,
    /// Whether it counts as unread until the read cursor passes it.
    pub counts_unread: bool,
    /// Scheduled send time; `None` for immediately.
    pub send_at: Option<Timestamp>,
    /// Time after which it is no longer sent.
    pub expires_at: Option<Timestamp>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
    /// Incremented by every change of the row.
    pub version: i64,
    /// Incremented by changes of updatable fields only; the etag is derived from it.
    pub edit_version: i64,
}

/// The part of a new message that its author does not determine.
#[derive(Debug, Clone)]
pub struct Placement<'a> {
    /// Id.
    pub id: MessageId,
    /// Its conversation, as it is with the message: the message has its last sequence.
    pub conversation: &'a Conversation,
    /// Channel.
    pub channel: Channel,
    /// Direction.
    pub direction: Direction,
    /// Attachments.
    pub attachments: Vec<Attachment>,
    /// Delivery progress.
    pub progress: Progress,
    /// Whether it counts as unread until the read cursor passes it.
    pub counts_unread: bool,
    /// Creation time.
    pub created_at: Timestamp,
}

impl Message {
    /// Returns a new message, without a provider and without times of its own for sending and expiry.
    #[must_use]
    pub fn new(placement: Placement<'_>, content: Content) -> Self {
        let Placement {
            id,
            conversation,
            channel,
            direction,
            attachments,
            progress,
            counts_unread,
            created_at,
        } = placement;
        let Content {
            role,
            cc_addresses,
            subject,
            body,
            html_body,
            quoted_body,
            tokens_used,
            latency_ms,
            metadata,
        } = content;
        let (ours, theirs) = (
            conversation.participant_from.clone(),
            conversation.participant_to.clone(),
        );
        let (from_address, to_address) = match direction {
            Direction::Outbound => (ours, theirs),
            Direction::Inbound => (theirs, ours),
        };
        Self {
            id,
            owner: conversation.owner.clone(),
            conversation_id: conversation.id,
            sequence: conversation.last_sequence,
            channel,
            direction,
            role,
            from_address,
            cc_addresses: further_recipients(cc_addresses, &to_address),
            to_address,
            subject,
            segments: segments(channel, &body),
            body,
            html_body,
            quoted_body,
            attachments,
            provider: None,
            provider_message_id: None,
            progress,
            tokens_used,
            latency_ms,
            metadata,
            policy: DeliveryPolicy::AtLeastOnce,
            counts_unread,
            send_at: None,
            expires_at: None,
            created_at,
            updated_at: conversation.updated_at,
            version: 1,
            edit_version: 1,
        }
    }

    /// Returns the bytes of its long texts: the part of its size that has no small limit.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.body.len()
            + self.html_body.len()
            + self.quoted_body.len()
            + self.subject.len()
            + self.metadata.as_str().len()
    }
}

/// The recipients besides the first, without duplicates. Addresses are in canonical form, so equal addresses are
/// equal texts.
fn further_recipients(given: Vec<String>, first: &str) -> Vec<String> {
    let mut further: Vec<String> = Vec::with_capacity(given.len());
    for address in given {
        if address != first && !further.contains(&address) {
            further.push(address);
        }
    }
    further
}

/// Returns the number of SMS segments of a text; 0 on other channels.
fn segments(channel: Channel, body: &str) -> i32 {
    match channel {
        Channel::Sms => sms::measure(body).segments,
        Channel::Mms | Channel::Email | Channel::Chat => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::further_recipients;

    #[test]
    fn further_recipients_are_listed_once_and_without_the_first() {
        let given = ["b@x.example", "a@x.example", "c@x.example", "b@x.example"];
        let further = further_recipients(given.map(str::to_owned).to_vec(), "a@x.example");
        assert_eq!(further, ["b@x.example", "c@x.example"]);
        assert!(further_recipients(Vec::new(), "a@x.example").is_empty());
    }
}
