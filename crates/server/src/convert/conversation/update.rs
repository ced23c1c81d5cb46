//! `UpdateConversation`.

use parlance_app::Result;
use parlance_app::conversations::ConversationEdit;
use parlance_domain::message::{ContentView, Limits};
use parlance_domain::{ConversationId, ConversationStatus, Json, Violation};
use parlance_proto::v1;

use crate::convert::fields::{Found, set};
use crate::convert::mask::Mask;
use crate::convert::{enums, limits, metadata};

/// Reads an edit.
pub(crate) fn update(
    request: v1::UpdateConversationRequest,
    limits: &Limits,
) -> Result<ConversationEdit> {
    let mut found = Found::new();
    let v1::UpdateConversationRequest {
        conversation,
        update_mask,
    } = request;
    let mask = Mask::read(
        &mut found,
        update_mask,
        &["user", "title", "status", "metadata", "external_id"],
    );
    let Some(conversation) = conversation else {
        found.push("conversation", "required; give its id and the new values");
        return found.finish(|| None);
    };
    let edit = edit(&mut found, conversation, &mask, limits);
    found.finish(|| edit)
}

fn edit(
    found: &mut Found,
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
    let id = found.id("conversation.id", &id, ConversationId::parse);
    let etag = found.etag("conversation.etag", etag);
    let mut text = |name: &str, text: String, most: usize| {
        mask.covers(name, !text.is_empty()).then(|| {
            found.text(&format!("conversation.{name}"), &text, most);
            text
        })
    };
    let user = text("user", user, limits::USER);
    let title = text("title", title, limits::TITLE);
    let external_id = text("external_id", external_id, limits::EXTERNAL_ID);
    let status = new_status(found, mask, status);
    let metadata = if mask.covers("metadata", metadata.is_some()) {
        metadata::json(found, "conversation.metadata", metadata)
    } else {
        None
    };
    check_metadata(found, metadata.as_ref(), limits);
    Some(ConversationEdit {
        id: id?,
        etag,
        user,
        title,
        status,
        metadata,
        external_id: external_id.map(set),
    })
}

/// A status cannot be cleared: every conversation has one.
fn new_status(found: &mut Found, mask: &Mask, number: i32) -> Option<ConversationStatus> {
    const FIELD: &str = "conversation.status";
    if !mask.covers("status", number != 0) {
        return None;
    }
    if number == 0 {
        found.push(FIELD, "cannot be cleared; give ACTIVE, ARCHIVED or CLOSED");
    }
    enums::conversation_status(found, FIELD, number)
}

/// The rules for metadata are those of a message's.
pub(super) fn check_metadata(found: &mut Found, metadata: Option<&Json>, limits: &Limits) {
    let view = ContentView {
        received: true,
        metadata: metadata.map_or("", Json::as_str),
        ..ContentView::default()
    };
    let renamed = |Violation { field, description }| {
        Violation::new(format!("conversation.{field}"), description)
    };
    found.extend(view.check(limits).into_iter().map(renamed));
}

#[cfg(test)]
mod tests {
    use prost_types::value::Kind;
    use prost_types::{FieldMask, Struct, Value};

    use super::*;
    use crate::convert::testing::wrong;

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
    fn without_a_mask_what_is_set_is_changed() {
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
    fn what_a_mask_names_and_nothing_sets_is_cleared() {
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
    fn wrong_fields_are_named_inside_the_conversation() {
        let status = "conversation.status";
        assert_eq!(
            wrong(read(v1::Conversation::default(), &["status"])),
            [status]
        );
        let unknown = v1::Conversation {
            status: 8,
            ..Default::default()
        };
        assert_eq!(wrong(read(unknown, &[])), [status]);
        assert_eq!(
            wrong(read(v1::Conversation::default(), &["channel"])),
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
        assert_eq!(wrong(read(conversation, &[])), ["conversation.metadata"]);
        let request = v1::UpdateConversationRequest::default();
        assert_eq!(wrong(update(request, &Limits::default())), ["conversation"]);
    }
}
