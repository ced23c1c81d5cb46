//! Conversion of a conversation and its messages to a session. Values that an import sets by default are omitted.

use parlance_proto::v1;

use super::message::write_message;
use super::schema::Session;
use super::text::{some, value_name};
use super::timestamp::SessionTimestamp;
use super::{Transcript, object};

/// Numbers of what a session omits, since an import does not take it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Omitted {
    /// Attachments with content in the service.
    pub(crate) attachments: usize,
    /// Messages that are still to be sent.
    pub(crate) messages: usize,
}

impl std::ops::AddAssign for Omitted {
    fn add_assign(&mut self, other: Self) {
        self.attachments += other.attachments;
        self.messages += other.messages;
    }
}

/// Returns the session, and how much of the conversation it omits.
pub(crate) fn session(transcript: Transcript) -> (Session, Omitted) {
    let Transcript {
        conversation,
        mut messages,
    } = transcript;
    let before = messages.len();
    messages.retain(|message| !is_unfinished(message.status()));
    let (channel, status) = (conversation.channel(), conversation.status());
    let without_url = |message: &v1::Message| {
        let files = message.attachments.iter();
        files.filter(|file| file.url.is_empty()).count()
    };
    let omitted = Omitted {
        attachments: messages.iter().map(without_url).sum(),
        messages: before - messages.len(),
    };
    let session = Session {
        name: Some(name(&conversation).to_owned()),
        id: None,
        user: some(conversation.user),
        title: some(conversation.title),
        channel: (channel != v1::Channel::Chat)
            .then(|| value_name("CHANNEL_", channel.as_str_name())),
        participant_from: some(conversation.participant_from),
        participant_to: some(conversation.participant_to),
        status: (status != v1::ConversationStatus::Active)
            .then(|| value_name("CONVERSATION_STATUS_", status.as_str_name())),
        created_at: conversation.created_at.map(SessionTimestamp),
        context: conversation.metadata.map(object::from_contract),
        messages: Some(
            messages
                .into_iter()
                .map(|message| write_message(message, channel))
                .collect(),
        ),
    };
    (session, omitted)
}

/// Whether a message of this status may still be sent. An import takes messages of a final status only.
const fn is_unfinished(status: v1::MessageStatus) -> bool {
    matches!(
        status,
        v1::MessageStatus::Scheduled
            | v1::MessageStatus::Pending
            | v1::MessageStatus::Sending
            | v1::MessageStatus::Uncertain
    )
}

/// Name of a conversation: its external id, or its id if it has none.
pub(crate) fn name(conversation: &v1::Conversation) -> &str {
    if conversation.external_id.is_empty() {
        &conversation.id
    } else {
        &conversation.external_id
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn a_written_session_reads_back_the_same() {
        for text in [
            r#"{"session_id":"s","messages":[]}"#,
            r#"{"session_id":"s","user":"u","title":"t","status":"archived","created_at":"2020-01-01T00:00:00Z","context":{"a":1},"messages":[{"role":"system","content":"","created_at":"2020-01-01T00:00:00.000001Z","tokens_used":1,"latency_ms":2,"metadata":{"b":[]},"status":"read","delivered_at":"2020-01-01T00:00:01Z","read_at":"2020-01-01T00:00:02Z"}]}"#,
            r#"{"session_id":"s","channel":"sms","participant_from":"+1","participant_to":"+2","messages":[{"direction":"inbound","content":"x"},{"direction":"outbound","content":"y","channel":"mms","status":"failed","attachments":[{"filename":"f","content_type":"a/b","size_bytes":3,"url":"https://x.example"}],"provider":"twilio","provider_message_id":"1","error":{"code":"C","message":"m","provider_code":"7"},"sent_at":"2020-01-01T00:00:00Z"}]}"#,
            r#"{"session_id":"s","channel":"email","participant_from":"a@b.c","participant_to":"d@e.f","status":"closed","messages":[{"direction":"outbound","content":"x","subject":"s","html_body":"<p>","quoted_body":"> y","cc_addresses":["g@h.i"]}]}"#,
        ] {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            let mut transcript = super::super::read::transcript(None, &raw).unwrap();
            let of = transcript.conversation.channel();
            // Defaults that the service sets.
            for message in &mut transcript.messages {
                if message.channel == 0 {
                    message.channel = of.into();
                }
                if message.status == 0 {
                    let received =
                        message.direction() == v1::Direction::Inbound && of != v1::Channel::Chat;
                    message.status = if received {
                        v1::MessageStatus::Received
                    } else {
                        v1::MessageStatus::Delivered
                    }
                    .into();
                }
            }
            let (session, omitted) = session(transcript);
            assert_eq!(serde_json::to_string(&session).unwrap(), text);
            assert_eq!(omitted, Omitted::default());
        }
    }
}
