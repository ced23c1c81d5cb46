//! `UpdateConversation`.

use parlance_app::Result;
use parlance_app::conversations::ConversationEdit;
use parlance_domain::message::{ContentView, Limits};
use parlance_domain::{ConversationId, ConversationStatus, Json, Violation};
use parlance_proto::v1;

use crate::convert::fields::{Violations, non_empty};
use crate::convert::mask::Mask;
use crate::convert::{enums, limits, metadata};

/// Reads a request to update a conversation.
pub(crate) fn update(
    request: v1::UpdateConversationRequest,
    limits: &Limits,
) -> Result<ConversationEdit> {
    let mut violations = Violations::new();
    let v1::UpdateConversationRequest {
        conversation,
        update_mask,
    } = request;
    let mask = Mask::read(
        &mut violations,
        update_mask,
        &["user", "title", "status", "metadata", "external_id"],
    );
    let Some(conversation) = conversation else {
        violations.push("conversation", "required; set its id and the new values");
        return violations.finish(|| None);
    };
    let edit = edit(&mut violations, conversation, &mask, limits);
    violations.finish(|| edit)
}

fn edit(
    violations: &mut Violations,
    conversation: v1::Conversation,
    mask: &Mask,
    limits: &Limits,
) -> Option<ConversationEdit> {
    let v1::Conversation {
        id,
        owner: _,
        user,
        channel: _,
        participant_from: _,
        participant_to: _,
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
        etag,
    } = conversation;
    let id = violations.id("conversation.id", &id, ConversationId::parse);
    let etag = violations.etag("conversation.etag", etag);
    let mut text = |name: &str, text: String, most: usize| {
        mask.covers(name, !text.is_empty()).then(|| {
            violations.text(&format!("conversation.{name}"), &text, most);
            text
        })
    };
    let user = text("user", user, limits::USER);
    let title = text("title", title, limits::TITLE);
    let external_id = text("external_id", external_id, limits::EXTERNAL_ID);
    let status = new_status(violations, mask, status);
    let metadata = if mask.covers("metadata", metadata.is_some()) {
        metadata::json(violations, "conversation.metadata", metadata)
    } else {
        None
    };
    check_metadata(violations, metadata.as_ref(), limits);
    Some(ConversationEdit {
        id: id?,
        etag,
        user,
        title,
        status,
        metadata,
        external_id: external_id.map(non_empty),
    })
}

/// Reads the new status, which cannot be cleared: every conversation has one.
fn new_status(violations: &mut Violations, mask: &Mask, number: i32) -> Option<ConversationStatus> {
    const FIELD: &str = "conversation.status";
    if !mask.covers("status", number != 0) {
        return None;
    }
    if number == 0 {
        violations.push(FIELD, "cannot be cleared; use ACTIVE, ARCHIVED or CLOSED");
    }
    enums::conversation_status(violations, FIELD, number)
}

/// Checks metadata by the rules for a message.
pub(super) fn check_metadata(
    violations: &mut Violations,
    metadata: Option<&Json>,
    limits: &Limits,
) {
    let view = ContentView {
        received: true,
        metadata: metadata.map_or("", Json::as_str),
        ..ContentView::default()
    };
    let renamed = |Violation { field, description }| {
        Violation::new(format!("conversation.{field}"), description)
    };
    violations.extend(view.check(limits).into_iter().map(renamed));
}

#[cfg(test)]
mod tests {
    use prost_types::value::Kind;
    use prost_types::{FieldMask, Struct, Value};

    use super::*;
    use crate::convert::testing::rejected_fields;

    const ID: &str = "01932b1c-0000-7000-8000-000000000001";

    fn read(conversation: v1::Conversation, paths: &[&str]) -> Result<ConversationEdit> {
        let paths = paths.iter().map(|&path| path.to_owned()).collect();
        let request = v1::UpdateConversationRequest {
            conversation: Some(v1::Conversation {
                id: ID.to_owned(),
                ..conversation
            }),
            update_mask: Some(FieldMask { paths }),
        };
        update(request, &Limits::default())
    }

    #[test]
    fn without_a_mask_the_fields_that_are_set_are_changed() {
        let conversation = v1::Conversation {
            title: "t".to_owned(),
            external_id: "x".to_owned(),
            participant_to: "not for an update".to_owned(),
            ..Default::default()
        };
        let edit = read(conversation, &[]).unwrap();
        assert_eq!((edit.title.as_deref(), edit.user), (Some("t"), None));
        assert_eq!(edit.external_id, Some(Some("x".to_owned())));
        assert_eq!((edit.status, edit.metadata, edit.etag), (None, None, None));
    }

    #[test]
    fn an_unset_field_of_the_mask_is_cleared() {
        let edit = read(
            v1::Conversation::default(),
            &["user", "title", "metadata", "external_id"],
        )
        .unwrap();
        assert_eq!(
            (edit.user.as_deref(), edit.title.as_deref()),
            (Some(""), Some(""))
        );
        assert_eq!(
            (edit.external_id, edit.metadata),
            (Some(None), Some(Json::default()))
        );
    }

    #[test]
    fn invalid_fields_have_the_prefix_of_the_conversation() {
        let status = "conversation.status";
        assert_eq!(
            rejected_fields(read(v1::Conversation::default(), &["status"])),
            [status]
        );
        let unknown = v1::Conversation {
            status: 8,
            ..Default::default()
        };
        assert_eq!(rejected_fields(read(unknown, &[])), [status]);
        assert_eq!(
            rejected_fields(read(v1::Conversation::default(), &["channel"])),
            ["update_mask"]
        );
        let large = Value {
            kind: Some(Kind::StringValue("x".repeat(17_000))),
        };
        let metadata = Struct {
            fields: [("k".to_owned(), large)].into(),
        };
        let conversation = v1::Conversation {
            metadata: Some(metadata),
            ..Default::default()
        };
        assert_eq!(
            rejected_fields(read(conversation, &[])),
            ["conversation.metadata"]
        );
        let request = v1::UpdateConversationRequest::default();
        assert_eq!(
            rejected_fields(update(request, &Limits::default())),
            ["conversation"]
        );
    }
}
