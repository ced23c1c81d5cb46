//! Where a new message belongs: exactly one of three ways to say it.

use parlance_app::messages::ConversationTarget;
use parlance_domain::{Address, AddressError, Channel, ConversationId};

use super::Way;
use crate::convert::fields::{Found, set};
use crate::convert::{enums, limits};

/// The fields of a request that say it.
pub(super) struct PlaceFields {
    pub(super) conversation_id: String,
    pub(super) channel: i32,
    pub(super) from_address: String,
    pub(super) to_address: String,
    pub(super) user: String,
    pub(super) external_id: String,
}

/// Reads the place, and the channel as far as the request says it, even where the place is wrong otherwise.
pub(super) fn place(
    found: &mut Found,
    fields: PlaceFields,
    way: Way,
) -> (Option<Channel>, Option<ConversationTarget>) {
    if !fields.conversation_id.is_empty() {
        return (None, conversation(found, fields));
    }
    if fields.channel == 0 {
        let field = if says_more(&fields) {
            "channel"
        } else {
            "conversation_id"
        };
        found.push(field, NOWHERE);
        return (None, None);
    }
    let channel = enums::channel(found, "channel", fields.channel);
    let place = match channel {
        Some(Channel::Chat) => Some(chat(found, fields)),
        Some(channel @ (Channel::Sms | Channel::Mms | Channel::Email)) => {
            pair(found, channel, fields, way)
        }
        None => None,
    };
    (channel, place)
}

const NOWHERE: &str = "say where the message belongs: conversation_id alone, or channel with from_address and to_address, \
                       or channel CHAT";

fn says_more(fields: &PlaceFields) -> bool {
    let PlaceFields {
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

fn conversation(found: &mut Found, fields: PlaceFields) -> Option<ConversationTarget> {
    const WHY: &str = "the conversation says it already";
    let PlaceFields {
        conversation_id,
        channel,
        from_address,
        to_address,
        user,
        external_id,
    } = fields;
    let id = found.id("conversation_id", &conversation_id, ConversationId::parse);
    found.absent("channel", channel == 0, WHY);
    found.absent("from_address", from_address.is_empty(), WHY);
    found.absent("to_address", to_address.is_empty(), WHY);
    found.absent("user", user.is_empty(), WHY);
    found.absent("external_id", external_id.is_empty(), WHY);
    id.map(ConversationTarget::Conversation)
}

fn pair(
    found: &mut Found,
    channel: Channel,
    fields: PlaceFields,
    way: Way,
) -> Option<ConversationTarget> {
    let PlaceFields {
        conversation_id: _,
        channel: _,
        from_address,
        to_address,
        user,
        external_id,
    } = fields;
    let (from, to): (Reader, Reader) = match way {
        Way::Out => (Address::ours, Address::recipient),
        Way::In => (Address::origin, Address::ours),
    };
    let from = found.keep("from_address", from(channel, &from_address));
    let to = found.keep("to_address", to(channel, &to_address));
    found.text("user", &user, limits::USER);
    found.absent(
        "external_id",
        external_id.is_empty(),
        "only a chat is found by its external id",
    );
    let (ours, theirs) = match way {
        Way::Out => (from?, to?),
        Way::In => (to?, from?),
    };
    Some(ConversationTarget::Pair {
        channel,
        ours,
        theirs,
        user,
    })
}

type Reader = fn(Channel, &str) -> Result<Address, AddressError>;

fn chat(found: &mut Found, fields: PlaceFields) -> ConversationTarget {
    const WHY: &str = "chat has no addresses";
    let PlaceFields {
        conversation_id: _,
        channel: _,
        from_address,
        to_address,
        user,
        external_id,
    } = fields;
    found.absent("from_address", from_address.is_empty(), WHY);
    found.absent("to_address", to_address.is_empty(), WHY);
    found.text("user", &user, limits::USER);
    found.text("external_id", &external_id, limits::EXTERNAL_ID);
    ConversationTarget::Chat {
        external_id: set(external_id),
        user,
    }
}

#[cfg(test)]
mod tests {
    use parlance_proto::v1;

    use super::*;
    use crate::convert::testing::{fields_of, seen};

    const ID: &str = "01932b1c-0000-7000-8000-000000000001";
    const OURS: &str = "+15550001111";
    const THEIRS: &str = "+15550002222";

    fn fields(conversation_id: &str, channel: v1::Channel, from: &str, to: &str) -> PlaceFields {
        PlaceFields {
            conversation_id: conversation_id.to_owned(),
            channel: channel.into(),
            from_address: from.to_owned(),
            to_address: to.to_owned(),
            user: String::new(),
            external_id: String::new(),
        }
    }

    #[test]
    fn each_of_the_three_ways() {
        let read = |fields, way| seen(|found| place(found, fields, way)).1.unwrap();
        let id = ConversationId::parse(ID).unwrap();
        let named = fields(ID, v1::Channel::Unspecified, "", "");
        assert_eq!(read(named, Way::Out), ConversationTarget::Conversation(id));

        let address = |text| Address::ours(Channel::Sms, text).unwrap();
        let pair = ConversationTarget::Pair {
            channel: Channel::Sms,
            ours: address(OURS),
            theirs: address(THEIRS),
            user: String::new(),
        };
        assert_eq!(
            read(fields("", v1::Channel::Sms, OURS, THEIRS), Way::Out),
            pair
        );
        assert_eq!(
            read(fields("", v1::Channel::Sms, THEIRS, OURS), Way::In),
            pair
        );

        let mut chat = fields("", v1::Channel::Chat, "", "");
        chat.external_id = "s1".to_owned();
        chat.user = "u".to_owned();
        let expected = ConversationTarget::Chat {
            external_id: Some("s1".to_owned()),
            user: "u".to_owned(),
        };
        assert_eq!(read(chat, Way::In), expected);
    }

    #[test]
    fn every_other_mixture_names_its_fields() {
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
                fields_of(|found| _ = place(found, given, Way::Out)),
                expected
            );
        }
        let mut unknown = fields("", Unspecified, OURS, THEIRS);
        unknown.channel = 77;
        assert_eq!(
            fields_of(|found| _ = place(found, unknown, Way::Out)),
            ["channel"]
        );
        let mut named = fields("", Sms, OURS, THEIRS);
        named.external_id = "s1".to_owned();
        assert_eq!(
            fields_of(|found| _ = place(found, named, Way::Out)),
            ["external_id"]
        );
    }

    #[test]
    fn a_name_can_write_and_not_be_written_to() {
        let from_name = || fields("", v1::Channel::Sms, "ACME", OURS);
        assert!(fields_of(|found| _ = place(found, from_name(), Way::In)).is_empty());
        let to_name = fields("", v1::Channel::Sms, OURS, "ACME");
        assert_eq!(
            fields_of(|found| _ = place(found, to_name, Way::Out)),
            ["to_address"]
        );
    }
}
