//! Short ways to say what is asked, and addresses that nobody else has.

use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use parlance_proto::v1;
use prost_types::value::Kind as Json;

static COUNT: AtomicU32 = AtomicU32::new(1);

fn count() -> u32 {
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// An address of ours and one of theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// A sender.
    pub ours: String,
    /// Somebody.
    pub theirs: String,
}

/// A telephone number that no other test has.
pub fn phone() -> String {
    format!("+1555{:07}", count())
}

/// A text that no other test has.
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

/// An old chat in which these were said in turn, a minute apart, by the user first.
pub fn old_chat(external_id: &str, said: &[&str]) -> v1::ImportConversationsRequest {
    let start = 1_600_000_000;
    let message = |(turn, body): (i64, &&str)| v1::Message {
        role: (if turn % 2 == 0 {
            v1::Role::User
        } else {
            v1::Role::Assistant
        })
        .into(),
        body: (*body).to_owned(),
        created_at: Some(at(start + 60 * turn)),
        ..Default::default()
    };
    v1::ImportConversationsRequest {
        conversation: Some(v1::Conversation {
            external_id: external_id.to_owned(),
            channel: v1::Channel::Chat.into(),
            created_at: Some(at(start)),
            ..Default::default()
        }),
        messages: (0..).zip(said).map(message).collect(),
        offset: None,
    }
}

/// An old conversation of two numbers, with this message from them.
pub fn old_sms(external_id: &str, pair: &Pair, body: &str) -> v1::ImportConversationsRequest {
    let mut old = old_chat(external_id, &[body]);
    old.conversation = Some(v1::Conversation {
        channel: v1::Channel::Sms.into(),
        participant_from: pair.ours.clone(),
        participant_to: pair.theirs.clone(),
        ..old.conversation.unwrap_or_default()
    });
    for message in &mut old.messages {
        message.role = 0;
        message.direction = v1::Direction::Inbound.into();
    }
    old
}

/// What a user says in a chat.
pub fn chat(external_id: &str, body: &str) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        channel: v1::Channel::Chat.into(),
        external_id: external_id.to_owned(),
        body: body.to_owned(),
        ..Default::default()
    }
}

/// A message into a conversation that exists.
pub fn reply(conversation_id: &str, body: &str) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        conversation_id: conversation_id.to_owned(),
        body: body.to_owned(),
        ..Default::default()
    }
}

/// A text message from them, with a provider's id that no other has.
pub fn from_them(pair: &Pair, body: &str) -> v1::ReceiveMessageRequest {
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

/// By its id.
pub fn get_message(id: &str) -> v1::GetMessageRequest {
    v1::GetMessageRequest {
        id: id.to_owned(),
        ..Default::default()
    }
}

/// By its id.
pub fn get_conversation(id: &str) -> v1::GetConversationRequest {
    v1::GetConversationRequest {
        id: id.to_owned(),
        ..Default::default()
    }
}

/// However it is.
pub fn delete_message(id: &str) -> v1::DeleteMessageRequest {
    v1::DeleteMessageRequest {
        id: id.to_owned(),
        ..Default::default()
    }
}

/// However it is.
pub fn delete_conversation(id: &str) -> v1::DeleteConversationRequest {
    v1::DeleteConversationRequest {
        id: id.to_owned(),
        ..Default::default()
    }
}

/// Called back.
pub fn cancel(id: &str) -> v1::CancelMessageRequest {
    v1::CancelMessageRequest { id: id.to_owned() }
}

/// What happened to a message.
pub fn story(id: &str) -> v1::ListMessageEventsRequest {
    v1::ListMessageEventsRequest { id: id.to_owned() }
}

/// A look at a send.
pub fn preview(send: v1::SendMessageRequest) -> v1::PreviewMessageRequest {
    let v1::SendMessageRequest {
        request_id,
        conversation_id,
        channel,
        from_address,
        to_address,
        user,
        external_id,
        cc_addresses,
        subject,
        body,
        html_body,
        attachments,
        role,
        tokens_used,
        latency_ms,
        metadata,
        send_at,
        expires_at,
        policy,
    } = send;
    v1::PreviewMessageRequest {
        request_id,
        conversation_id,
        channel,
        from_address,
        to_address,
        user,
        external_id,
        cc_addresses,
        subject,
        body,
        html_body,
        attachments,
        role,
        tokens_used,
        latency_ms,
        metadata,
        send_at,
        expires_at,
        policy,
    }
}

/// What the simulator's customer answers to a message of this pair.
pub fn answer(pair: &Pair, body: &str) -> v1::ReplyAsRequest {
    v1::ReplyAsRequest {
        to_address: pair.theirs.clone(),
        from_address: pair.ours.clone(),
        body: body.to_owned(),
        ..Default::default()
    }
}

/// What the far side of the simulator has got at this address.
pub fn seen_at(to_address: &str) -> v1::ListSentRequest {
    v1::ListSentRequest {
        to_address: to_address.to_owned(),
        ..Default::default()
    }
}

/// The first page.
pub fn list(conversation_id: &str) -> v1::ListMessagesRequest {
    v1::ListMessagesRequest {
        conversation_id: conversation_id.to_owned(),
        ..Default::default()
    }
}

/// The messages that have these words.
pub fn search(query: &str) -> v1::SearchMessagesRequest {
    v1::SearchMessagesRequest {
        query: query.to_owned(),
        ..Default::default()
    }
}

/// A report about a message.
pub fn report(id: &str, status: v1::MessageStatus) -> v1::UpdateMessageStatusRequest {
    v1::UpdateMessageStatusRequest {
        id: id.to_owned(),
        status: status.into(),
        ..Default::default()
    }
}

/// An edit of a conversation, whose mask has these paths.
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

/// The same status, set by an edit.
pub fn set_status(id: &str, status: v1::ConversationStatus) -> v1::UpdateConversationRequest {
    edit(id, &["status"], |c| c.status = status.into())
}

/// An edit of a message, whose mask has these paths.
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

/// No mask where no path is named.
pub fn mask(paths: &[&str]) -> Option<prost_types::FieldMask> {
    let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    (!paths.is_empty()).then_some(prost_types::FieldMask { paths })
}

/// Seconds since the epoch.
pub fn at(seconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds, nanos: 0 }
}

/// A moment far enough away for every test: the year 2100 and some seconds.
pub fn far(seconds: i64) -> prost_types::Timestamp {
    at(4_102_444_800 + seconds)
}

/// An object with one text.
pub fn json(name: &str, text: &str) -> prost_types::Struct {
    object([(name, Json::StringValue(text.to_owned()))])
}

/// An object.
pub fn object<const N: usize>(members: [(&str, Json); N]) -> prost_types::Struct {
    let member =
        |(name, kind): (&str, Json)| (name.to_owned(), prost_types::Value { kind: Some(kind) });
    prost_types::Struct {
        fields: members.into_iter().map(member).collect(),
    }
}

/// An object in an object, this deep in all.
pub fn nested(levels: usize) -> prost_types::Struct {
    (1..levels).fold(prost_types::Struct::default(), |inner, _| {
        object([("in", Json::StructValue(inner))])
    })
}

/// A file in the request.
pub fn file(name: &str, content_type: &str, content: impl Into<Bytes>) -> v1::NewAttachment {
    v1::NewAttachment {
        filename: name.to_owned(),
        content_type: content_type.to_owned(),
        content: content.into(),
        ..Default::default()
    }
}

/// The first piece of an upload.
pub fn head(
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

/// A later one.
pub fn piece(data: impl Into<Bytes>) -> v1::UploadAttachmentRequest {
    v1::UploadAttachmentRequest {
        data: data.into(),
        ..Default::default()
    }
}
