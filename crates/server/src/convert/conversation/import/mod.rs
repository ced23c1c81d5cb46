//! `ImportConversations`: a conversation and its messages as they were elsewhere.

mod message;
mod show;

use parlance_app::Result;
use parlance_app::conversations::import::{IncomingPart, OldConversation, OldPart};
use parlance_domain::message::Limits;
use parlance_domain::{Channel, ConversationStatus};
use parlance_proto::v1;
use prost::Message as _;

use super::create::{addresses, conversation_channel};
use super::update::check_metadata;
use crate::convert::fields::{Found, set};
use crate::convert::{enums, limits, metadata, time};

pub(crate) use show::imported_to_proto;

/// Reads a part. What is wrong with it is told with it: it must not end the stream.
pub(crate) fn import_part(
    request: v1::ImportConversationsRequest,
    limits: &Limits,
) -> IncomingPart {
    let bytes = request.encoded_len();
    let messages = request.messages.len();
    let named = request.conversation.as_ref();
    let external_id = named.map(|conversation| conversation.external_id.clone());
    IncomingPart {
        external_id: external_id.unwrap_or_default(),
        messages,
        bytes,
        part: part(request, limits),
    }
}

fn part(request: v1::ImportConversationsRequest, limits: &Limits) -> Result<OldPart> {
    let mut found = Found::new();
    let v1::ImportConversationsRequest {
        conversation,
        messages,
        offset,
    } = request;
    found.not_negative("offset", offset.unwrap_or_default());
    if messages.len() > limits::IMPORT_MESSAGES {
        let most = limits::IMPORT_MESSAGES;
        found.push(
            "messages",
            format!("at most {most} at once; bring the others in another request"),
        );
    }
    let Some(conversation) = conversation else {
        found.push("conversation", "required; give its external_id and channel");
        return found.finish(|| None);
    };
    let (channel, conversation) = old_conversation(&mut found, conversation, limits);
    let mut read = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let mut of_message = Found::new();
        read.extend(message::old(&mut of_message, channel, message, limits));
        found.nest(&format!("messages[{index}]"), of_message);
    }
    found.finish(|| {
        Some(OldPart {
            conversation: conversation?,
            offset,
            messages: read,
        })
    })
}

/// The conversation, and its channel even where something else is wrong: its messages are read by it.
fn old_conversation(
    found: &mut Found,
    conversation: v1::Conversation,
    limits: &Limits,
) -> (Option<Channel>, Option<OldConversation>) {
    let v1::Conversation {
        id: _,
        owner: _,
        user,
        channel,
        participant_from,
        participant_to,
        title,
        status,
        external_id,
        message_count: _,
        unread_count: _,
        last_message_at: _,
        metadata,
        created_at,
        updated_at: _,
        version: _,
        etag: _,
    } = conversation;
    found.required(
        "conversation.external_id",
        &external_id,
        limits::EXTERNAL_ID,
    );
    found.text("conversation.user", &user, limits::USER);
    found.text("conversation.title", &title, limits::TITLE);
    let channel = conversation_channel(found, channel);
    let addresses = addresses(found, channel, &participant_from, &participant_to);
    let status = enums::conversation_status(found, "conversation.status", status);
    let metadata = metadata::json(found, "conversation.metadata", metadata);
    check_metadata(found, metadata.as_ref(), limits);
    let created_at = time::timestamp(found, "conversation.created_at", created_at);
    let named = set(external_id).zip(channel).zip(metadata);
    let read = named.map(|((external_id, channel), metadata)| OldConversation {
        external_id,
        channel,
        addresses,
        user,
        title,
        status: status.unwrap_or(ConversationStatus::Active),
        metadata,
        created_at,
    });
    (channel, read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::wrong;

    fn of(
        channel: v1::Channel,
        messages: Vec<v1::Message>,
        change: impl FnOnce(&mut v1::Conversation),
    ) -> Result<OldPart> {
        let mut conversation = v1::Conversation {
            external_id: "s1".to_owned(),
            channel: channel.into(),
            ..Default::default()
        };
        if channel != v1::Channel::Chat {
            conversation.participant_from = "+15550001111".to_owned();
            conversation.participant_to = "+15550002222".to_owned();
        }
        change(&mut conversation);
        let request = v1::ImportConversationsRequest {
            conversation: Some(conversation),
            messages,
            offset: None,
        };
        import_part(request, &Limits::default()).part
    }

    fn said(change: impl FnOnce(&mut v1::Message)) -> Vec<v1::Message> {
        let mut message = v1::Message {
            body: "hi".to_owned(),
            ..Default::default()
        };
        change(&mut message);
        vec![message]
    }

    #[test]
    fn a_chat_speaks_by_its_roles_and_is_there() {
        let part = of(v1::Channel::Chat, said(|_| ()), |_| ()).unwrap();
        let message = &part.messages[0];
        assert_eq!(message.direction, parlance_domain::Direction::Inbound);
        assert_eq!(
            message.progress.status,
            parlance_domain::MessageStatus::Delivered
        );
    }

    #[test]
    fn only_states_in_which_nothing_is_left_to_do_are_taken() {
        use v1::{Channel, Direction, MessageStatus as S};
        let inbound = [S::Unspecified, S::Received];
        let outbound = [
            S::Unspecified,
            S::Sent,
            S::Delivered,
            S::Read,
            S::Undelivered,
            S::Failed,
            S::Expired,
            S::Canceled,
        ];
        let chat = [S::Unspecified, S::Delivered, S::Read];
        for status in (0..=12).map(|number| S::try_from(number).unwrap()) {
            for (channel, direction, taken) in [
                (Channel::Sms, Direction::Inbound, &inbound[..]),
                (Channel::Sms, Direction::Outbound, &outbound),
                (Channel::Chat, Direction::Unspecified, &chat),
            ] {
                let message = said(|message| {
                    message.direction = direction.into();
                    message.status = status.into();
                });
                let expected: &[&str] = if taken.contains(&status) {
                    &[]
                } else {
                    &["messages[0].status"]
                };
                assert_eq!(wrong(of(channel, message, |_| ())), expected, "{status:?}");
            }
        }
    }

    #[test]
    fn all_that_is_wrong_is_named_in_its_message() {
        let mut messages = said(|message| message.direction = v1::Direction::Outbound.into());
        messages.extend(said(|message| {
            message.subject = "s".to_owned();
            message.provider_message_id = "7".to_owned();
            message.attachments.push(v1::Attachment::default());
            message.created_at = Some(prost_types::Timestamp {
                seconds: 0,
                nanos: -1,
            });
        }));
        let part = of(v1::Channel::Sms, messages, |conversation| {
            conversation.external_id.clear();
            conversation.title = "\0".to_owned();
        });
        let expected = [
            "conversation.external_id",
            "conversation.title",
            "messages[1].direction",
            "messages[1].subject",
            "messages[1].attachments[0].url",
            "messages[1].provider",
            "messages[1].created_at",
        ];
        assert_eq!(wrong(part), expected);
        let part = of(
            v1::Channel::Sms,
            said(|message| message.subject = "s".to_owned()),
            |_| (),
        );
        assert_eq!(
            wrong(part),
            ["messages[0].direction", "messages[0].subject"]
        );
        let part = of(
            v1::Channel::Chat,
            said(|message| {
                message.role = v1::Role::User.into();
                message.direction = v1::Direction::Outbound.into();
                message.channel = v1::Channel::Email.into();
            }),
            |_| (),
        );
        assert_eq!(
            wrong(part),
            ["messages[0].channel", "messages[0].direction"]
        );
    }

    #[test]
    fn there_is_a_conversation_and_not_too_much_of_it() {
        let request = v1::ImportConversationsRequest {
            offset: Some(-1),
            ..Default::default()
        };
        let read = import_part(request, &Limits::default()).part;
        assert_eq!(wrong(read), ["offset", "conversation"]);
        let many = vec![v1::Message::default(); limits::IMPORT_MESSAGES + 1];
        assert_eq!(wrong(of(v1::Channel::Chat, many, |_| ())), ["messages"]);
    }
}
