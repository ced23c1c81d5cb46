//! `ImportConversations`: conversations and messages of another system.

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
use crate::convert::fields::{Violations, non_empty};
use crate::convert::{enums, limits, metadata, time};

pub(crate) use show::imported_to_proto;

/// Reads one request of the stream. Its violations are part of the result, because they must not end the stream.
pub(crate) fn import_part(
    request: v1::ImportConversationsRequest,
    limits: &Limits,
) -> IncomingPart {
    let bytes = request.encoded_len();
    let messages = request.messages.len();
    let conversation = request.conversation.as_ref();
    let external_id = conversation.map(|conversation| conversation.external_id.clone());
    IncomingPart {
        external_id: external_id.unwrap_or_default(),
        messages,
        bytes,
        part: part(request, limits),
    }
}

fn part(request: v1::ImportConversationsRequest, limits: &Limits) -> Result<OldPart> {
    let mut violations = Violations::new();
    let v1::ImportConversationsRequest {
        conversation,
        messages,
        offset,
    } = request;
    violations.not_negative("offset", offset.unwrap_or_default());
    if messages.len() > limits::IMPORT_MESSAGES {
        let most = limits::IMPORT_MESSAGES;
        violations.push(
            "messages",
            format!("at most {most} messages per request; send the others in another request"),
        );
    }
    let Some(conversation) = conversation else {
        violations.push("conversation", "required; set its external_id and channel");
        return violations.finish(|| None);
    };
    let (channel, conversation) = read_conversation(&mut violations, conversation, limits);
    let mut read = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let mut message_violations = Violations::new();
        read.extend(message::read_message(
            &mut message_violations,
            channel,
            message,
            limits,
        ));
        violations.nest(&format!("messages[{index}]"), message_violations);
    }
    violations.finish(|| {
        Some(OldPart {
            conversation: conversation?,
            offset,
            messages: read,
        })
    })
}

/// Reads the conversation. Also returns its channel, even if other fields are invalid: its messages are read by it.
fn read_conversation(
    violations: &mut Violations,
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
    violations.required(
        "conversation.external_id",
        &external_id,
        limits::EXTERNAL_ID,
    );
    violations.text("conversation.user", &user, limits::USER);
    violations.text("conversation.title", &title, limits::TITLE);
    let channel = conversation_channel(violations, channel);
    let addresses = addresses(violations, channel, &participant_from, &participant_to);
    let status = enums::conversation_status(violations, "conversation.status", status);
    let metadata = metadata::json(violations, "conversation.metadata", metadata);
    check_metadata(violations, metadata.as_ref(), limits);
    let created_at = time::timestamp(violations, "conversation.created_at", created_at);
    let required = non_empty(external_id).zip(channel).zip(metadata);
    let read = required.map(|((external_id, channel), metadata)| OldConversation {
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
    use crate::convert::testing::rejected_fields;

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

    fn one_message(change: impl FnOnce(&mut v1::Message)) -> Vec<v1::Message> {
        let mut message = v1::Message {
            body: "hi".to_owned(),
            ..Default::default()
        };
        change(&mut message);
        vec![message]
    }

    #[test]
    fn a_chat_message_gets_its_direction_from_the_role_and_is_delivered() {
        let part = of(v1::Channel::Chat, one_message(|_| ()), |_| ()).unwrap();
        let message = &part.messages[0];
        assert_eq!(message.direction, parlance_domain::Direction::Inbound);
        assert_eq!(
            message.progress.status,
            parlance_domain::MessageStatus::Delivered
        );
    }

    #[test]
    fn only_final_statuses_are_accepted() {
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
            for (channel, direction, accepted) in [
                (Channel::Sms, Direction::Inbound, &inbound[..]),
                (Channel::Sms, Direction::Outbound, &outbound),
                (Channel::Chat, Direction::Unspecified, &chat),
            ] {
                let message = one_message(|message| {
                    message.direction = direction.into();
                    message.status = status.into();
                });
                let expected: &[&str] = if accepted.contains(&status) {
                    &[]
                } else {
                    &["messages[0].status"]
                };
                assert_eq!(
                    rejected_fields(of(channel, message, |_| ())),
                    expected,
                    "{status:?}"
                );
            }
        }
    }

    #[test]
    fn violations_have_the_prefix_of_their_message() {
        let mut messages =
            one_message(|message| message.direction = v1::Direction::Outbound.into());
        messages.extend(one_message(|message| {
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
        assert_eq!(rejected_fields(part), expected);
        let part = of(
            v1::Channel::Sms,
            one_message(|message| message.subject = "s".to_owned()),
            |_| (),
        );
        assert_eq!(
            rejected_fields(part),
            ["messages[0].direction", "messages[0].subject"]
        );
        let part = of(
            v1::Channel::Chat,
            one_message(|message| {
                message.role = v1::Role::User.into();
                message.direction = v1::Direction::Outbound.into();
                message.channel = v1::Channel::Email.into();
            }),
            |_| (),
        );
        assert_eq!(
            rejected_fields(part),
            ["messages[0].channel", "messages[0].direction"]
        );
    }

    #[test]
    fn a_conversation_is_required_and_messages_are_limited() {
        let request = v1::ImportConversationsRequest {
            offset: Some(-1),
            ..Default::default()
        };
        let read = import_part(request, &Limits::default()).part;
        assert_eq!(rejected_fields(read), ["offset", "conversation"]);
        let many = vec![v1::Message::default(); limits::IMPORT_MESSAGES + 1];
        assert_eq!(
            rejected_fields(of(v1::Channel::Chat, many, |_| ())),
            ["messages"]
        );
    }
}
