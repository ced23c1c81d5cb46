//! Conversation target of a new message: exactly one of a conversation's id, a pair of addresses, or a chat.

use parlance_app::messages::ConversationTarget;
use parlance_domain::{Address, AddressError, Channel, ConversationId, Direction};

use crate::convert::fields::{Violations, non_empty};
use crate::convert::{enums, limits};

/// Target fields of a request.
pub(super) struct TargetFields {
    pub(super) conversation_id: String,
    pub(super) channel: i32,
    pub(super) from_address: String,
    pub(super) to_address: String,
    pub(super) user: String,
    pub(super) external_id: String,
}

/// Reads the target. Also returns the channel if the request has one, even if the target is invalid.
pub(super) fn conversation_target(
    violations: &mut Violations,
    fields: TargetFields,
    direction: Direction,
) -> (Option<Channel>, Option<ConversationTarget>) {
    if !fields.conversation_id.is_empty() {
        return (None, conversation(violations, fields));
    }
    if fields.channel == 0 {
        let field = if has_other_fields(&fields) {
            "channel"
        } else {
            "conversation_id"
        };
        violations.push(field, NO_TARGET);
        return (None, None);
    }
    let channel = enums::channel(violations, "channel", fields.channel);
    let target = match channel {
        Some(Channel::Chat) => Some(chat(violations, fields)),
        Some(channel @ (Channel::Sms | Channel::Mms | Channel::Email)) => {
            pair(violations, channel, fields, direction)
        }
        None => None,
    };
    (channel, target)
}

const NO_TARGET: &str = "the message has no target; set conversation_id alone, or channel with from_address and to_address, \
                         or channel CHAT";

fn has_other_fields(fields: &TargetFields) -> bool {
    let TargetFields {
        conversation_id: _,
        channel: _,
        from_address,
        to_address,
        user,
        external_id,
    } = fields;
    [from_address, to_address, user, external_id]
        .iter()
        .any(|text| !text.is_empty())
}

fn conversation(violations: &mut Violations, fields: TargetFields) -> Option<ConversationTarget> {
    const WHY: &str = "conversation_id already determines it";
    let TargetFields {
        conversation_id,
        channel,
        from_address,
        to_address,
        user,
        external_id,
    } = fields;
    let id = violations.id("conversation_id", &conversation_id, ConversationId::parse);
    violations.absent("channel", channel == 0, WHY);
    violations.absent("from_address", from_address.is_empty(), WHY);
    violations.absent("to_address", to_address.is_empty(), WHY);
    violations.absent("user", user.is_empty(), WHY);
    violations.absent("external_id", external_id.is_empty(), WHY);
    id.map(ConversationTarget::Conversation)
}

fn pair(
    violations: &mut Violations,
    channel: Channel,
    fields: TargetFields,
    direction: Direction,
) -> Option<ConversationTarget> {
    let TargetFields {
        conversation_id: _,
        channel: _,
        from_address,
        to_address,
        user,
        external_id,
    } = fields;
    let (from, to): (Reader, Reader) = match direction {
        Direction::Outbound => (Address::ours, Address::recipient),
        Direction::Inbound => (Address::origin, Address::ours),
    };
    let from = violations.ok_or_record("from_address", from(channel, &from_address));
    let to = violations.ok_or_record("to_address", to(channel, &to_address));
    violations.text("user", &user, limits::USER);
    violations.absent(
        "external_id",
        external_id.is_empty(),
        "only a chat has an external_id",
    );
    let (ours, theirs) = match direction {
        Direction::Outbound => (from?, to?),
        Direction::Inbound => (to?, from?),
    };
    Some(ConversationTarget::Pair {
        channel,
        ours,
        theirs,
        user,
    })
}

/// Parses an address of either side.
type Reader = fn(Channel, &str) -> Result<Address, AddressError>;

fn chat(violations: &mut Violations, fields: TargetFields) -> ConversationTarget {
    const WHY: &str = "chat has no addresses";
    let TargetFields {
        conversation_id: _,
        channel: _,
        from_address,
        to_address,
        user,
        external_id,
    } = fields;
    violations.absent("from_address", from_address.is_empty(), WHY);
    violations.absent("to_address", to_address.is_empty(), WHY);
    violations.text("user", &user, limits::USER);
    violations.text("external_id", &external_id, limits::EXTERNAL_ID);
    ConversationTarget::Chat {
        external_id: non_empty(external_id),
        user,
    }
}

#[cfg(test)]
mod tests {
    use parlance_proto::v1;

    use super::*;
    use crate::convert::testing::{accepted, violated_fields};

    const ID: &str = "01932b1c-0000-7000-8000-000000000001";
    const OURS: &str = "+15550001111";
    const THEIRS: &str = "+15550002222";

    fn fields(conversation_id: &str, channel: v1::Channel, from: &str, to: &str) -> TargetFields {
        TargetFields {
            conversation_id: conversation_id.to_owned(),
            channel: channel.into(),
            from_address: from.to_owned(),
            to_address: to.to_owned(),
            user: String::new(),
            external_id: String::new(),
        }
    }

    #[test]
    fn each_kind_of_target_is_read() {
        let read = |fields, direction| {
            let target = accepted(|violations| conversation_target(violations, fields, direction));
            target.1.unwrap()
        };
        let id = ConversationId::parse(ID).unwrap();
        let named = fields(ID, v1::Channel::Unspecified, "", "");
        assert_eq!(
            read(named, Direction::Outbound),
            ConversationTarget::Conversation(id)
        );

        let address = |text| Address::ours(Channel::Sms, text).unwrap();
        let pair = ConversationTarget::Pair {
            channel: Channel::Sms,
            ours: address(OURS),
            theirs: address(THEIRS),
            user: String::new(),
        };
        assert_eq!(
            read(
                fields("", v1::Channel::Sms, OURS, THEIRS),
                Direction::Outbound
            ),
            pair
        );
        assert_eq!(
            read(
                fields("", v1::Channel::Sms, THEIRS, OURS),
                Direction::Inbound
            ),
            pair
        );

        let mut chat = fields("", v1::Channel::Chat, "", "");
        chat.external_id = "s1".to_owned();
        chat.user = "u".to_owned();
        let expected = ConversationTarget::Chat {
            external_id: Some("s1".to_owned()),
            user: "u".to_owned(),
        };
        assert_eq!(read(chat, Direction::Inbound), expected);
    }

    #[test]
    fn every_invalid_combination_reports_its_fields() {
        use v1::Channel::{Chat, Email, Sms, Unspecified};
        for (given, expected) in [
            (fields("", Unspecified, "", ""), &["conversation_id"][..]),
            (fields("", Unspecified, OURS, THEIRS), &["channel"]),
            (fields("x", Unspecified, "", ""), &["conversation_id"]),
            (
                fields(ID, Sms, OURS, THEIRS),
                &["channel", "from_address", "to_address"],
            ),
            (fields("", Sms, "", ""), &["from_address", "to_address"]),
            (fields("", Sms, OURS, "ACME"), &["to_address"]),
            (fields("", Email, OURS, "a@b.example"), &["from_address"]),
            (
                fields("", Chat, OURS, THEIRS),
                &["from_address", "to_address"],
            ),
        ] {
            assert_eq!(
                violated_fields(
                    |violations| _ = conversation_target(violations, given, Direction::Outbound)
                ),
                expected
            );
        }
        let mut unknown = fields("", Unspecified, OURS, THEIRS);
        unknown.channel = 77;
        assert_eq!(
            violated_fields(
                |violations| _ = conversation_target(violations, unknown, Direction::Outbound)
            ),
            ["channel"]
        );
        let mut named = fields("", Sms, OURS, THEIRS);
        named.external_id = "s1".to_owned();
        assert_eq!(
            violated_fields(
                |violations| _ = conversation_target(violations, named, Direction::Outbound)
            ),
            ["external_id"]
        );
    }

    #[test]
    fn a_name_is_valid_as_origin_and_not_as_recipient() {
        let from_name = || fields("", v1::Channel::Sms, "ACME", OURS);
        assert!(
            violated_fields(
                |violations| _ = conversation_target(violations, from_name(), Direction::Inbound)
            )
            .is_empty()
        );
        let to_name = fields("", v1::Channel::Sms, OURS, "ACME");
        assert_eq!(
            violated_fields(
                |violations| _ = conversation_target(violations, to_name, Direction::Outbound)
            ),
            ["to_address"]
        );
    }
}
