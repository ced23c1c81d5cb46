//! From a conversation and its messages to a session. What the service would say by itself is left out.

use parlance_proto::v1;

use super::schema::{Fault, File, Said, Session};
use super::timestamp::Moment;
use super::{Old, object};

/// The session, and how many attachments it leaves behind: those whose content the service has.
pub(crate) fn session(old: Old) -> (Session, usize) {
    let Old {
        conversation,
        messages,
    } = old;
    let (channel, status) = (conversation.channel(), conversation.status());
    let kept_here = |message: &v1::Message| {
        let files = message.attachments.iter();
        files.filter(|file| file.url.is_empty()).count()
    };
    let left = messages.iter().map(kept_here).sum();
    let session = Session {
        name: Some(name(&conversation).to_owned()),
        id: None,
        user: some(conversation.user),
        title: some(conversation.title),
        channel: (channel != v1::Channel::Chat).then(|| word("CHANNEL_", channel.as_str_name())),
        participant_from: some(conversation.participant_from),
        participant_to: some(conversation.participant_to),
        status: (status != v1::ConversationStatus::Active)
            .then(|| word("CONVERSATION_STATUS_", status.as_str_name())),
        created_at: conversation.created_at.map(Moment),
        context: conversation.metadata.map(object::from_contract),
        messages: Some(
            messages
                .into_iter()
                .map(|message| said(message, channel))
                .collect(),
        ),
    };
    (session, left)
}

/// One that nobody has named goes by its id.
pub(crate) fn name(conversation: &v1::Conversation) -> &str {
    if conversation.external_id.is_empty() {
        &conversation.id
    } else {
        &conversation.external_id
    }
}

fn said(message: v1::Message, of: v1::Channel) -> Said {
    let is_chat = of == v1::Channel::Chat;
    let (channel, status) = (message.channel(), message.status());
    let (role, direction) = (message.role(), message.direction());
    let received = direction == v1::Direction::Inbound && !is_chat;
    let usual = if received {
        v1::MessageStatus::Received
    } else {
        v1::MessageStatus::Delivered
    };
    let at_once =
        status == v1::MessageStatus::Delivered && message.delivered_at == message.created_at;
    Said {
        role: is_chat.then(|| word("ROLE_", role.as_str_name())),
        direction: (!is_chat).then(|| word("DIRECTION_", direction.as_str_name())),
        content: Some(message.body),
        created_at: message.created_at.map(Moment),
        tokens_used: message.tokens_used,
        latency_ms: message.latency_ms,
        metadata: message.metadata.map(object::from_contract),
        channel: (channel != of).then(|| word("CHANNEL_", channel.as_str_name())),
        status: (status != usual).then(|| word("MESSAGE_STATUS_", status.as_str_name())),
        subject: some(message.subject),
        html_body: some(message.html_body),
        cc_addresses: message.cc_addresses,
        attachments: message.attachments.into_iter().filter_map(file).collect(),
        provider: some(message.provider),
        provider_message_id: some(message.provider_message_id),
        error: message.error.map(fault),
        sent_at: message.sent_at.map(Moment),
        delivered_at: message.delivered_at.filter(|_| !at_once).map(Moment),
        read_at: message.read_at.map(Moment),
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

/// The contract's name of a value without what all names of its kind begin with.
fn word(kind: &str, name: &str) -> String {
    name.strip_prefix(kind).unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    /// What is written reads as what was there.
    #[test]
    fn both_ways_agree() {
        for text in [
            r#"{"session_id":"s","messages":[]}"#,
            r#"{"session_id":"s","user":"u","title":"t","status":"archived","created_at":"2020-01-01T00:00:00Z","context":{"a":1},"messages":[{"role":"system","content":"","created_at":"2020-01-01T00:00:00.000001Z","tokens_used":1,"latency_ms":2,"metadata":{"b":[]},"status":"read","delivered_at":"2020-01-01T00:00:01Z","read_at":"2020-01-01T00:00:02Z"}]}"#,
            r#"{"session_id":"s","channel":"sms","participant_from":"+1","participant_to":"+2","messages":[{"direction":"inbound","content":"x"},{"direction":"outbound","content":"y","channel":"mms","status":"failed","attachments":[{"filename":"f","content_type":"a/b","size_bytes":3,"url":"https://x.example"}],"provider":"twilio","provider_message_id":"1","error":{"code":"C","message":"m","provider_code":"7"},"sent_at":"2020-01-01T00:00:00Z"}]}"#,
            r#"{"session_id":"s","channel":"email","participant_from":"a@b.c","participant_to":"d@e.f","status":"closed","messages":[{"direction":"outbound","content":"x","subject":"s","html_body":"<p>","cc_addresses":["g@h.i"]}]}"#,
        ] {
            let raw = RawValue::from_string(text.to_owned()).unwrap();
            let mut old = super::super::read::old(None, &raw).unwrap();
            let of = old.conversation.channel();
            // What the service adds.
            for message in &mut old.messages {
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
            let (session, left) = session(old);
            assert_eq!(serde_json::to_string(&session).unwrap(), text);
            assert_eq!(left, 0);
        }
    }
}
