//! Short constructors of requests, and addresses that are unique in a test run.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use parlance_proto::v1;
use prost_types::value::Kind as Json;

use crate::Preview;

static COUNT: AtomicU32 = AtomicU32::new(1);

fn count() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// An address of ours and one of the other party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Our sender.
    pub ours: String,
    /// The other party.
    pub theirs: String,
}

/// A unique telephone number.
pub fn phone() -> String {
    format!("+1555{:07}", count())
}

/// A unique text.
pub fn unique(what: &str) -> String {
    format!("{what}-{}", count())
}

/// Two numbers.
pub fn phones() -> Pair {
    Pair {
        ours: phone(),
        theirs: phone(),
    }
}

/// Two mail addresses.
pub fn mail_addresses() -> Pair {
    let number = count();
    Pair {
        ours: format!("we{number}@ours.example.com"),
        theirs: format!("They{number}@theirs.example.org"),
    }
}

/// A text message from us.
pub fn sms(pair: &Pair, body: &str) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        channel: v1::Channel::Sms.into(),
        from_address: pair.ours.clone(),
        to_address: pair.theirs.clone(),
        body: body.to_owned(),
        ..Default::default()
    }
}

/// A mail from us.
pub fn mail(pair: &Pair, body: &str) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        channel: v1::Channel::Email.into(),
        ..sms(pair, body)
    }
}

/// A chat to import, with these messages a minute apart, alternating from the user and the assistant.
pub fn imported_chat(external_id: &str, bodies: &[&str]) -> v1::ImportConversationsRequest {
    let start = 1_600_000_000;
    let message = |(index, body): (i64, &&str)| v1::Message {
        role: (if index % 2 == 0 {
            v1::Role::User
        } else {
            v1::Role::Assistant
        })
        .into(),
        body: (*body).to_owned(),
        created_at: Some(at(start + 60 * index)),
        ..Default::default()
    };
    v1::ImportConversationsRequest {
        conversation: Some(v1::Conversation {
            external_id: external_id.to_owned(),
            channel: v1::Channel::Chat.into(),
            created_at: Some(at(start)),
            ..Default::default()
        }),
        messages: (0..).zip(bodies).map(message).collect(),
        offset: None,
    }
}

/// A conversation of two numbers to import, with this inbound message.
pub fn imported_sms(external_id: &str, pair: &Pair, body: &str) -> v1::ImportConversationsRequest {
    let mut request = imported_chat(external_id, &[body]);
    request.conversation = Some(v1::Conversation {
        channel: v1::Channel::Sms.into(),
        participant_from: pair.ours.clone(),
        participant_to: pair.theirs.clone(),
        ..request.conversation.unwrap_or_default()
    });
    for message in &mut request.messages {
        message.role = 0;
        message.direction = v1::Direction::Inbound.into();
    }
    request
}

/// A message of a user in a chat.
pub fn chat(external_id: &str, body: &str) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        channel: v1::Channel::Chat.into(),
        external_id: external_id.to_owned(),
        body: body.to_owned(),
        ..Default::default()
    }
}

/// A message in an existing conversation.
pub fn reply(conversation_id: &str, body: &str) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        conversation_id: conversation_id.to_owned(),
        body: body.to_owned(),
        ..Default::default()
    }
}

/// An inbound text message with a unique provider message id.
pub fn inbound_sms(pair: &Pair, body: &str) -> v1::ReceiveMessageRequest {
    v1::ReceiveMessageRequest {
        channel: v1::Channel::Sms.into(),
        from_address: pair.theirs.clone(),
        to_address: pair.ours.clone(),
        body: body.to_owned(),
        provider: "simulator".to_owned(),
        provider_message_id: unique("in"),
        ..Default::default()
    }
}

/// A conversation between two numbers.
pub fn create(pair: &Pair) -> v1::CreateConversationRequest {
    v1::CreateConversationRequest {
        conversation: Some(v1::Conversation {
            channel: v1::Channel::Sms.into(),
            participant_from: pair.ours.clone(),
            participant_to: pair.theirs.clone(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// A chat without messages.
pub fn create_chat(external_id: &str) -> v1::CreateConversationRequest {
    v1::CreateConversationRequest {
        conversation: Some(v1::Conversation {
            channel: v1::Channel::Chat.into(),
            external_id: external_id.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Reads a message by its id.
pub fn get_message(id: &str) -> v1::GetMessageRequest {
    v1::GetMessageRequest {
        id: id.to_owned(),
        ..Default::default()
    }
}

/// Reads a conversation by its id.
pub fn get_conversation(id: &str) -> v1::GetConversationRequest {
    v1::GetConversationRequest {
        id: id.to_owned(),
        ..Default::default()
    }
}

/// Deletes a message, whatever its version.
pub fn delete_message(id: &str) -> v1::DeleteMessageRequest {
    v1::DeleteMessageRequest {
        id: id.to_owned(),
        ..Default::default()
    }
}

/// Deletes a conversation, whatever its version.
pub fn delete_conversation(id: &str) -> v1::DeleteConversationRequest {
    v1::DeleteConversationRequest {
        id: id.to_owned(),
        ..Default::default()
    }
}

/// Cancels a message.
pub fn cancel(id: &str) -> v1::CancelMessageRequest {
    v1::CancelMessageRequest { id: id.to_owned() }
}

/// Lists the events of a message.
pub fn list_message_events(id: &str) -> v1::ListMessageEventsRequest {
    v1::ListMessageEventsRequest { id: id.to_owned() }
}

/// The preview of a send.
pub fn preview(send: v1::SendMessageRequest) -> Preview {
    Preview(send)
}

/// A reply of the simulated recipient of this pair.
pub fn reply_as(pair: &Pair, body: &str) -> v1::ReplyAsRequest {
    v1::ReplyAsRequest {
        to_address: pair.theirs.clone(),
        from_address: pair.ours.clone(),
        body: body.to_owned(),
        ..Default::default()
    }
}

/// Lists the messages that the simulated network has received at this address.
pub fn list_sent(to_address: &str) -> v1::ListSentRequest {
    v1::ListSentRequest {
        to_address: to_address.to_owned(),
        ..Default::default()
    }
}

/// The first page of a conversation's messages.
pub fn list(conversation_id: &str) -> v1::ListMessagesRequest {
    v1::ListMessagesRequest {
        conversation_id: conversation_id.to_owned(),
        ..Default::default()
    }
}

/// Searches for messages with these words.
pub fn search(query: &str) -> v1::SearchMessagesRequest {
    v1::SearchMessagesRequest {
        query: query.to_owned(),
        ..Default::default()
    }
}

/// A status report.
pub fn report(id: &str, status: v1::MessageStatus) -> v1::UpdateMessageStatusRequest {
    v1::UpdateMessageStatusRequest {
        id: id.to_owned(),
        status: status.into(),
        ..Default::default()
    }
}

/// An edit of a conversation with these paths in its mask.
pub fn edit(
    id: &str,
    paths: &[&str],
    change: impl FnOnce(&mut v1::Conversation),
) -> v1::UpdateConversationRequest {
    let mut conversation = v1::Conversation {
        id: id.to_owned(),
        ..Default::default()
    };
    change(&mut conversation);
    v1::UpdateConversationRequest {
        conversation: Some(conversation),
        update_mask: mask(paths),
    }
}

/// An edit of a conversation's status.
pub fn set_status(id: &str, status: v1::ConversationStatus) -> v1::UpdateConversationRequest {
    edit(id, &["status"], |c| c.status = status.into())
}

/// An edit of a message with these paths in its mask.
pub fn edit_message(
    id: &str,
    paths: &[&str],
    change: impl FnOnce(&mut v1::Message),
) -> v1::UpdateMessageRequest {
    let mut message = v1::Message {
        id: id.to_owned(),
        ..Default::default()
    };
    change(&mut message);
    v1::UpdateMessageRequest {
        message: Some(message),
        update_mask: mask(paths),
    }
}

/// A field mask; none if there are no paths.
pub fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    (!paths.is_empty()).then_some(prost_types::FieldMask { paths })
}

/// A timestamp in seconds since the epoch.
pub fn at(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

/// A timestamp in the far future: the year 2100 and some seconds.
pub fn far_future(seconds: i64) -> prost_types::Timestamp {
    at(4_102_444_800 + seconds)
}

/// A JSON object with one text.
pub fn json(name: &str, text: &str) -> prost_types::Struct {
    object([(name, Json::StringValue(text.to_owned()))])
}

/// A JSON object.
pub fn object<const N: usize>(members: [(&str, Json); N]) -> prost_types::Struct {
    let member =
        |(name, kind): (&str, Json)| (name.to_owned(), prost_types::Value { kind: Some(kind) });
    prost_types::Struct {
        fields: members.into_iter().map(member).collect(),
    }
}

/// Nested JSON objects with this many levels.
pub fn nested(levels: usize) -> prost_types::Struct {
    (1..levels).fold(prost_types::Struct::default(), |inner, _| {
        object([("in", Json::StructValue(inner))])
    })
}

/// An attachment with its content in the request.
pub fn file(name: &str, content_type: &str, content: impl Into<Bytes>) -> v1::NewAttachment {
    v1::NewAttachment {
        filename: name.to_owned(),
        content_type: content_type.to_owned(),
        content: content.into(),
        ..Default::default()
    }
}

/// The first chunk of an upload.
pub fn first_chunk(
    filename: &str,
    content_type: &str,
    data: impl Into<Bytes>,
) -> v1::UploadAttachmentRequest {
    v1::UploadAttachmentRequest {
        filename: filename.to_owned(),
        content_type: content_type.to_owned(),
        data: data.into(),
    }
}

/// A later chunk of an upload.
pub fn chunk(data: impl Into<Bytes>) -> v1::UploadAttachmentRequest {
    v1::UploadAttachmentRequest {
        data: data.into(),
        ..Default::default()
    }
}
