//! Conversion of a conversation and its messages to a session. Values that an import sets by default are omitted.

use parlance_proto::v1;

use super::schema::{Fault, File, Session, SessionMessage};
use super::timestamp::SessionTimestamp;
use super::{Transcript, object};

/// Returns the session, and the number of omitted attachments: those with content in the service.
pub(crate) fn session(transcript: Transcript) -> (Session, usize) {
    let Transcript {
        conversation,
        messages,
    } = transcript;
    let (channel, status) = (conversation.channel(), conversation.status());
    let without_url = |message: &v1::Message| {
        let files = message.attachments.iter();
        files.filter(|file| file.url.is_empty()).count()
    };
    let omitted = messages.iter().map(without_url).sum();
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
                .map(|message| session_message(message, channel))
                .collect(),
        ),
    };
    (session, omitted)
}

/// Name of a conversation: its external id, or its id if it has none.
pub(crate) fn name(conversation: &v1::Conversation) -> &str {
    if conversation.external_id.is_empty() {
        &conversation.id
    } else {
        &conversation.external_id
    }
}

fn session_message(message: v1::Message, of: v1::Channel) -> SessionMessage {
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
    SessionMessage {
        role: is_chat.then(|| value_name("ROLE_", role.as_str_name())),
        direction: (!is_chat).then(|| value_name("DIRECTION_", direction.as_str_name())),
        content: Some(message.body),
        created_at: message.created_at.map(SessionTimestamp),
        tokens_used: message.tokens_used,
        latency_ms: message.latency_ms,
        metadata: message.metadata.map(object::from_contract),
        channel: (channel != of).then(|| value_name("CHANNEL_", channel.as_str_name())),
        status: (status != default_status)
            .then(|| value_name("MESSAGE_STATUS_", status.as_str_name())),
        subject: some(message.subject),
        html_body: some(message.html_body),
        cc_addresses: message.cc_addresses,
        attachments: message.attachments.into_iter().filter_map(file).collect(),
        provider: some(message.provider),
        provider_message_id: some(message.provider_message_id),
        error: message.error.map(fault),
        sent_at: message.sent_at.map(SessionTimestamp),
        delivered_at: message
            .delivered_at
            .filter(|_| !at_once)
            .map(SessionTimestamp),
        read_at: message.read_at.map(SessionTimestamp),
    }
}

fn file(file: v1::Attachment) -> Option<File> {
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

fn fault(error: v1::MessageError) -> Fault {
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

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Name of an enum value in the contract, without the prefix of the enum, in lower case.
fn value_name(kind: &str, name: &str) -> String {
    name.strip_prefix(kind).unwrap_or(name).to_ascii_lowercase()
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
            r#"{"session_id":"s","channel":"email","participant_from":"a@b.c","participant_to":"d@e.f","status":"closed","messages":[{"direction":"outbound","content":"x","subject":"s","html_body":"<p>","cc_addresses":["g@h.i"]}]}"#,
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
            assert_eq!(omitted, 0);
        }
    }
}
