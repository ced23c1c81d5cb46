//! `GetMessage`, `BatchGetMessages`, `ListMessages`, `DeleteMessage` and `GetAttachment`.

use parlance_app::Result;
use parlance_app::messages::{DeleteMessage, ListMessages, MessageRef};
use parlance_domain::{AttachmentId, ConversationId, MessageId};
use parlance_proto::v1;

use crate::convert::fields::Violations;
use crate::convert::{limits, page};

/// `GetMessage`.
pub(crate) fn get(request: v1::GetMessageRequest) -> Result<MessageRef> {
    let mut violations = Violations::new();
    let v1::GetMessageRequest {
        id,
        provider,
        provider_message_id,
    } = request;
    let which = message_ref(&mut violations, &id, provider, provider_message_id);
    violations.finish(|| which)
}

/// Reads a reference to a message, by its id or by its provider's id: exactly one of the two.
pub(super) fn message_ref(
    violations: &mut Violations,
    id: &str,
    provider: String,
    provider_message_id: String,
) -> Option<MessageRef> {
    let by_provider = !provider.is_empty() || !provider_message_id.is_empty();
    match (!id.is_empty(), by_provider) {
        (true, false) => violations
            .id("id", id, MessageId::parse)
            .map(MessageRef::Id),
        (false, true) => {
            violations.required("provider", &provider, limits::PROVIDER);
            violations.required(
                "provider_message_id",
                &provider_message_id,
                limits::PROVIDER_MESSAGE_ID,
            );
            Some(MessageRef::Provider {
                provider,
                provider_message_id,
            })
        }
        (true, true) => {
            violations.push(
                "id",
                "identifies the message twice; set id, or provider and provider_message_id",
            );
            None
        }
        (false, false) => {
            violations.push(
                "id",
                "required; set id, or provider and provider_message_id",
            );
            None
        }
    }
}

/// `BatchGetMessages`.
pub(crate) fn batch(request: v1::BatchGetMessagesRequest) -> Result<Vec<MessageId>> {
    let mut violations = Violations::new();
    let v1::BatchGetMessagesRequest { ids } = request;
    if ids.is_empty() || ids.len() > limits::BATCH {
        let most = limits::BATCH;
        violations.push(
            "ids",
            format!("must have 1 to {most} ids; use several requests for more"),
        );
        return violations.finish(|| None);
    }
    let read = |(index, id): (usize, &String)| {
        violations.id(format!("ids[{index}]"), id, MessageId::parse)
    };
    let ids = ids.iter().enumerate().filter_map(read).collect();
    violations.finish(|| Some(ids))
}

/// `ListMessages`.
pub(crate) fn list(request: v1::ListMessagesRequest) -> Result<ListMessages> {
    let mut violations = Violations::new();
    let v1::ListMessagesRequest {
        conversation_id,
        page_size,
        page_token,
        oldest_first,
        after_sequence,
        with_total,
    } = request;
    let conversation_id = violations.id("conversation_id", &conversation_id, ConversationId::parse);
    let page = page::request(&mut violations, page_size, page_token);
    violations.not_negative("after_sequence", after_sequence);
    violations.finish(|| {
        Some(ListMessages {
            conversation_id: conversation_id?,
            page,
            oldest_first,
            after_sequence,
            with_total,
        })
    })
}

/// `DeleteMessage`.
pub(crate) fn delete(request: v1::DeleteMessageRequest) -> Result<DeleteMessage> {
    let mut violations = Violations::new();
    let v1::DeleteMessageRequest { id, etag } = request;
    let id = violations.id("id", &id, MessageId::parse);
    let etag = violations.etag("etag", etag);
    violations.finish(|| Some(DeleteMessage { id: id?, etag }))
}

/// `GetAttachment`.
pub(crate) fn attachment(request: v1::GetAttachmentRequest) -> Result<(MessageId, AttachmentId)> {
    let mut violations = Violations::new();
    let v1::GetAttachmentRequest {
        message_id,
        attachment_id,
    } = request;
    let message = violations.id("message_id", &message_id, MessageId::parse);
    let attachment = violations.id("attachment_id", &attachment_id, AttachmentId::parse);
    violations.finish(|| Some((message?, attachment?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::rejected_fields;

    const ID: &str = "01932b1c-0000-7000-8000-000000000001";

    #[test]
    fn a_message_is_identified_in_exactly_one_way() {
        let of = |id: &str, provider: &str, theirs: &str| {
            get(v1::GetMessageRequest {
                id: id.to_owned(),
                provider: provider.to_owned(),
                provider_message_id: theirs.to_owned(),
            })
        };
        let id = MessageId::parse(ID).unwrap();
        assert_eq!(of(ID, "", "").unwrap(), MessageRef::Id(id));
        let theirs = MessageRef::Provider {
            provider: "p".to_owned(),
            provider_message_id: "x".to_owned(),
        };
        assert_eq!(of("", "p", "x").unwrap(), theirs);
        for (given, expected) in [
            (of("", "", ""), "id"),
            (of(ID, "p", "x"), "id"),
            (of(ID, "", "x"), "id"),
            (of("1", "", ""), "id"),
            (of("", "", "x"), "provider"),
            (of("", "p", ""), "provider_message_id"),
            (of("", "p", "a\0"), "provider_message_id"),
        ] {
            assert_eq!(rejected_fields(given), [expected]);
        }
    }

    #[test]
    fn a_batch_has_one_to_a_hundred_ids() {
        let of = |ids: Vec<&str>| {
            let ids = ids.into_iter().map(str::to_owned).collect();
            batch(v1::BatchGetMessagesRequest { ids })
        };
        assert_eq!(of(vec![ID; 100]).unwrap().len(), 100);
        assert_eq!(rejected_fields(of(vec![])), ["ids"]);
        assert_eq!(rejected_fields(of(vec!["x"; 101])), ["ids"]);
        assert_eq!(rejected_fields(of(vec!["x", ID, ""])), ["ids[0]", "ids[2]"]);
    }

    #[test]
    fn a_list_requires_a_conversation_and_no_negative_numbers() {
        let request = v1::ListMessagesRequest {
            page_size: -1,
            after_sequence: -1,
            ..Default::default()
        };
        assert_eq!(
            rejected_fields(list(request)),
            ["conversation_id", "page_size", "after_sequence"]
        );
    }

    #[test]
    fn an_empty_etag_is_none() {
        let of = |etag: &str| {
            delete(v1::DeleteMessageRequest {
                id: ID.to_owned(),
                etag: etag.to_owned(),
            })
        };
        assert_eq!(of("").unwrap().etag, None);
        assert_eq!(of("\"1\"").unwrap().etag.as_deref(), Some("\"1\""));
        assert_eq!(rejected_fields(of("\0")), ["etag"]);
    }

    #[test]
    fn an_attachment_is_identified_by_two_ids() {
        assert_eq!(
            rejected_fields(attachment(v1::GetAttachmentRequest::default())),
            ["message_id", "attachment_id"]
        );
    }
}
