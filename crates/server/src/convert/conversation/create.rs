//! `CreateConversation`.

use parlance_app::Result;
use parlance_app::conversations::CreateConversation;
use parlance_domain::message::Limits;
use parlance_domain::{Address, Channel, ConversationStatus};
use parlance_proto::v1;

use super::Reader;
use super::update::check_metadata;
use crate::convert::fields::{Violations, non_empty};
use crate::convert::{enums, limits, metadata, request_id};

/// Reads a request to create a conversation.
pub(crate) fn create(
    mut request: v1::CreateConversationRequest,
    limits: &Limits,
) -> Result<CreateConversation> {
    let mut violations = Violations::new();
    let request_id = request_id::take(&mut violations, &mut request, |r| &mut r.request_id);
    let v1::CreateConversationRequest {
        request_id: _,
        conversation,
    } = request;
    let Some(conversation) = conversation else {
        violations.push("conversation", "required; set its channel and participants");
        return violations.finish(|| None);
    };
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
        created_at: _,
        updated_at: _,
        version: _,
        etag: _,
    } = conversation;
    violations.text("conversation.user", &user, limits::USER);
    let channel = conversation_channel(&mut violations, channel);
    let addresses = addresses(&mut violations, channel, &participant_from, &participant_to);
    violations.text("conversation.title", &title, limits::TITLE);
    let status = enums::conversation_status(&mut violations, "conversation.status", status);
    violations.text(
        "conversation.external_id",
        &external_id,
        limits::EXTERNAL_ID,
    );
    let metadata = metadata::json(&mut violations, "conversation.metadata", metadata);
    check_metadata(&mut violations, metadata.as_ref(), limits);
    violations.finish(|| {
        Some(CreateConversation {
            request_id,
            channel: channel?,
            addresses,
            user,
            title,
            status: status.unwrap_or(ConversationStatus::Active),
            external_id: non_empty(external_id),
            metadata: metadata?,
        })
    })
}

pub(super) fn conversation_channel(violations: &mut Violations, number: i32) -> Option<Channel> {
    const FIELD: &str = "conversation.channel";
    if number == 0 {
        violations.push(FIELD, "required; use SMS, EMAIL or CHAT");
        return None;
    }
    let channel = enums::channel(violations, FIELD, number)?;
    if channel == Channel::Mms {
        violations.push(
            FIELD,
            "an SMS conversation also contains MMS messages; use SMS",
        );
        return None;
    }
    Some(channel)
}

/// Reads both addresses, or none for a chat. The other side may be an alphanumeric name that can only send: its
/// messages need a conversation, too.
pub(super) fn addresses(
    violations: &mut Violations,
    channel: Option<Channel>,
    from: &str,
    to: &str,
) -> Option<(Address, Address)> {
    const FROM: &str = "conversation.participant_from";
    const TO: &str = "conversation.participant_to";
    let (ours, theirs): (Reader, Reader) = (Address::ours, Address::origin);
    match channel? {
        Channel::Chat => {
            const WHY: &str = "chat has no addresses";
            violations.absent(FROM, from.is_empty(), WHY);
            violations.absent(TO, to.is_empty(), WHY);
            None
        }
        channel @ (Channel::Sms | Channel::Mms | Channel::Email) => {
            let from = violations.ok_or_record(FROM, ours(channel, from));
            let to = violations.ok_or_record(TO, theirs(channel, to));
            from.zip(to)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::rejected_fields;

    fn read(conversation: v1::Conversation) -> Result<CreateConversation> {
        let request = v1::CreateConversationRequest {
            request_id: String::new(),
            conversation: Some(conversation),
        };
        create(request, &Limits::default())
    }

    fn of(channel: v1::Channel, from: &str, to: &str) -> v1::Conversation {
        v1::Conversation {
            channel: channel.into(),
            participant_from: from.to_owned(),
            participant_to: to.to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn addresses_become_canonical_and_the_default_status_is_active() {
        let read = read(of(v1::Channel::Email, "us@Example.com", "Them@EXAMPLE.com")).unwrap();
        let (ours, theirs) = read.addresses.unwrap();
        assert_eq!(
            (ours.as_str(), theirs.as_str()),
            ("us@example.com", "Them@example.com")
        );
        assert_eq!(
            (read.status, read.external_id),
            (ConversationStatus::Active, None)
        );
    }

    #[test]
    fn a_chat_has_no_addresses_and_the_others_have_two() {
        use v1::Channel::{Chat, Mms, Sms, Unspecified};
        assert_eq!(read(of(Chat, "", "")).unwrap().addresses, None);
        let (from, to) = (
            "conversation.participant_from",
            "conversation.participant_to",
        );
        let channel = "conversation.channel";
        for (given, expected) in [
            (of(Chat, "+15550001111", "x"), &[from, to][..]),
            (of(Sms, "", ""), &[from, to]),
            (of(Sms, "+15550001111", "5550002222222"), &[to]),
            (of(Mms, "+15550001111", "+15550002222"), &[channel]),
            (of(Unspecified, "", ""), &[channel]),
            (
                v1::Conversation {
                    channel: 99,
                    ..Default::default()
                },
                &[channel],
            ),
        ] {
            assert_eq!(rejected_fields(read(given)), expected);
        }
        let request = v1::CreateConversationRequest::default();
        assert_eq!(
            rejected_fields(create(request, &Limits::default())),
            ["conversation"]
        );
    }

    #[test]
    fn texts_have_limits_and_nul_is_rejected() {
        let conversation = v1::Conversation {
            user: "u".repeat(256),
            title: "\0".to_owned(),
            status: 9,
            external_id: "x".repeat(256),
            ..of(v1::Channel::Chat, "", "")
        };
        let expected = [
            "conversation.user",
            "conversation.title",
            "conversation.status",
            "conversation.external_id",
        ];
        assert_eq!(rejected_fields(read(conversation)), expected);
    }
}
