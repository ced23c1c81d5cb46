//! `GetConversation`, `ListConversations`, `MarkAsRead`, `MarkAsUnread` and `DeleteConversation`.

use parlance_app::Result;
use parlance_app::conversations::{ConversationFilter, ConversationRef, ListConversations};
use parlance_domain::{Address, Channel, ConversationId};
use parlance_proto::v1;

use super::Reader;
use crate::convert::fields::{Violations, non_empty};
use crate::convert::{enums, limits, page};

/// `GetConversation`.
pub(crate) fn get(request: v1::GetConversationRequest) -> Result<ConversationRef> {
    let mut violations = Violations::new();
    let v1::GetConversationRequest { id, external_id } = request;
    let which = match (id.is_empty(), external_id.is_empty()) {
        (false, true) => violations
            .id("id", &id, ConversationId::parse)
            .map(ConversationRef::Id),
        (true, false) => {
            violations.text("external_id", &external_id, limits::EXTERNAL_ID);
            Some(ConversationRef::ExternalId(external_id))
        }
        (false, false) => {
            violations.push(
                "id",
                "identifies the conversation twice; set either id or external_id",
            );
            None
        }
        (true, true) => {
            violations.push("id", "required; set either id or external_id");
            None
        }
    };
    violations.finish(|| which)
}

/// `ListConversations`.
pub(crate) fn list(request: v1::ListConversationsRequest) -> Result<ListConversations> {
    let mut violations = Violations::new();
    let v1::ListConversationsRequest {
        user,
        channel,
        status,
        unread_only,
        participant,
        page_size,
        page_token,
        with_total,
    } = request;
    violations.text("user", &user, limits::USER);
    let channel = enums::channel(&mut violations, "channel", channel);
    if channel == Some(Channel::Mms) {
        violations.push(
            "channel",
            "conversations with MMS messages have the channel SMS; use SMS",
        );
    }
    let status = enums::conversation_status(&mut violations, "status", status);
    let participant = non_empty(participant).and_then(|text| address(&mut violations, &text));
    let page = page::request(&mut violations, page_size, page_token);
    let filter = ConversationFilter {
        user: non_empty(user),
        channel,
        status,
        unread_only,
        participant,
    };
    violations.finish(|| {
        Some(ListConversations {
            filter,
            page,
            with_total,
        })
    })
}

/// Reads an address of any channel into canonical form. Only an email address has an `@`.
fn address(violations: &mut Violations, text: &str) -> Option<String> {
    let channel = if text.contains('@') {
        Channel::Email
    } else {
        Channel::Sms
    };
    let read: Reader = Address::origin;
    violations
        .ok_or_record("participant", read(channel, text))
        .map(String::from)
}

/// `MarkAsRead`. Returns the last sequence to mark, or `None` for all messages.
pub(crate) fn mark_as_read(
    request: v1::MarkAsReadRequest,
) -> Result<(ConversationId, Option<i64>)> {
    let mut violations = Violations::new();
    let v1::MarkAsReadRequest { id, up_to_sequence } = request;
    let id = violations.id("id", &id, ConversationId::parse);
    violations.not_negative("up_to_sequence", up_to_sequence);
    violations.finish(|| Some((id?, (up_to_sequence != 0).then_some(up_to_sequence))))
}

/// `MarkAsUnread`.
pub(crate) fn mark_as_unread(request: v1::MarkAsUnreadRequest) -> Result<ConversationId> {
    let mut violations = Violations::new();
    let v1::MarkAsUnreadRequest { id } = request;
    let id = violations.id("id", &id, ConversationId::parse);
    violations.finish(|| id)
}

/// `DeleteConversation`. Returns the id and the expected etag.
pub(crate) fn delete(
    request: v1::DeleteConversationRequest,
) -> Result<(ConversationId, Option<String>)> {
    let mut violations = Violations::new();
    let v1::DeleteConversationRequest { id, etag } = request;
    let id = violations.id("id", &id, ConversationId::parse);
    let etag = violations.etag("etag", etag);
    violations.finish(|| Some((id?, etag)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::rejected_fields;

    const ID: &str = "01932b1c-0000-7000-8000-000000000001";

    #[test]
    fn a_conversation_is_identified_in_exactly_one_way() {
        let of = |id: &str, external_id: &str| {
            get(v1::GetConversationRequest {
                id: id.to_owned(),
                external_id: external_id.to_owned(),
            })
        };
        assert!(matches!(of(ID, "").unwrap(), ConversationRef::Id(_)));
        assert_eq!(
            of("", "t1").unwrap(),
            ConversationRef::ExternalId("t1".to_owned())
        );
        for (given, expected) in [
            (of("", ""), "id"),
            (of(ID, "t1"), "id"),
            (of("t1", ""), "id"),
            (of("", "a\0"), "external_id"),
        ] {
            assert_eq!(rejected_fields(given), [expected]);
        }
    }

    #[test]
    fn a_participant_is_searched_in_canonical_form() {
        let of = |participant: &str| {
            list(v1::ListConversationsRequest {
                participant: participant.to_owned(),
                ..Default::default()
            })
        };
        let filter = |text| of(text).unwrap().filter.participant;
        assert_eq!(filter(""), None);
        assert_eq!(filter("A@Example.COM").as_deref(), Some("A@example.com"));
        assert_eq!(filter("+15550001111").as_deref(), Some("+15550001111"));
        assert_eq!(filter("ACME").as_deref(), Some("ACME"));
        assert_eq!(rejected_fields(of("a@b@")), ["participant"]);
        assert_eq!(rejected_fields(of("(555) 000-1111")), ["participant"]);
    }

    #[test]
    fn every_invalid_filter_is_reported() {
        let request = v1::ListConversationsRequest {
            user: "\0".to_owned(),
            channel: v1::Channel::Mms.into(),
            status: 17,
            page_size: -1,
            ..Default::default()
        };
        assert_eq!(
            rejected_fields(list(request)),
            ["user", "channel", "status", "page_size"]
        );
    }

    #[test]
    fn sequence_zero_marks_all_messages() {
        let of = |up_to_sequence| {
            mark_as_read(v1::MarkAsReadRequest {
                id: ID.to_owned(),
                up_to_sequence,
            })
        };
        assert_eq!(of(0).unwrap().1, None);
        assert_eq!(of(3).unwrap().1, Some(3));
        assert_eq!(rejected_fields(of(-1)), ["up_to_sequence"]);
        assert_eq!(
            rejected_fields(mark_as_unread(v1::MarkAsUnreadRequest::default())),
            ["id"]
        );
    }
}
