//! Feed events.

use parlance_app::Result;
use parlance_app::events::{Watch, Watched};
use parlance_domain::{ConversationId, Event, EventSubject};
use parlance_proto::v1;

use super::fields::{Violations, non_empty};
use super::{conversation, enums, limits, message, time};

/// `WatchEvents`. The feed interprets the cursor.
pub(crate) fn watch(request: v1::WatchEventsRequest) -> Result<Watch> {
    let mut violations = Violations::new();
    let v1::WatchEventsRequest {
        conversation_id,
        user,
        types,
        cursor,
    } = request;
    let conversation_id = non_empty(conversation_id)
        .and_then(|id| violations.id("conversation_id", &id, ConversationId::parse));
    violations.text("user", &user, limits::USER);
    let mut kinds = Vec::new();
    for (index, number) in types.into_iter().enumerate() {
        let field = format!("types[{index}]");
        if number == 0 {
            violations.push(field, "heartbeats are always sent; use a type of event");
        } else {
            kinds.extend(enums::event_type(&mut violations, field, number));
        }
    }
    violations.text("cursor", &cursor, limits::CURSOR);
    violations.finish(|| {
        Some(Watch {
            conversation_id,
            user: non_empty(user),
            types: kinds,
            cursor,
        })
    })
}

/// Converts an event, or a heartbeat, which has only a cursor.
pub(crate) fn to_proto(watched: Watched) -> v1::Event {
    let Watched { cursor, event } = watched;
    let Some(event) = event else {
        return v1::Event {
            cursor,
            ..Default::default()
        };
    };
    let Event {
        kind,
        conversation_id,
        message_id,
        user: _, // the conversation shows it
        subject,
        time,
    } = event;
    let (conversation, message) = match subject {
        EventSubject::Conversation(subject) => (Some(conversation::to_proto(*subject)), None),
        EventSubject::Message(subject) => (None, Some(message::to_proto(*subject))),
        EventSubject::Gone => (None, None),
    };
    v1::Event {
        cursor,
        r#type: enums::event_type_to_proto(kind),
        conversation_id: conversation_id.to_string(),
        message_id: message_id.map(|id| id.to_string()).unwrap_or_default(),
        conversation,
        message,
        time: Some(time::timestamp_to_proto(time)),
    }
}

#[cfg(test)]
mod tests {
    use parlance_domain::EventType;

    use super::*;
    use crate::convert::testing::{NOW, rejected_fields};

    const ID: &str = "01932b1c-0000-7000-8000-000000000001";

    #[test]
    fn a_request_without_filters_watches_everything() {
        assert_eq!(
            watch(v1::WatchEventsRequest::default()).unwrap(),
            Watch::default()
        );
    }

    #[test]
    fn every_invalid_filter_is_reported() {
        let request = v1::WatchEventsRequest {
            conversation_id: "x".to_owned(),
            user: "\0".to_owned(),
            types: vec![1, 0, 99],
            cursor: "c".repeat(300),
        };
        let expected = ["conversation_id", "user", "types[1]", "types[2]", "cursor"];
        assert_eq!(rejected_fields(watch(request)), expected);
    }

    #[test]
    fn a_heartbeat_has_only_a_cursor() {
        let shown = to_proto(Watched {
            cursor: "c".to_owned(),
            event: None,
        });
        assert_eq!(
            shown,
            v1::Event {
                cursor: "c".to_owned(),
                ..Default::default()
            }
        );
    }

    #[test]
    fn an_event_of_a_deleted_entity_has_its_id_only() {
        let event = Event {
            kind: EventType::ConversationDeleted,
            conversation_id: ConversationId::parse(ID).unwrap(),
            message_id: None,
            user: "u".to_owned(),
            subject: EventSubject::Gone,
            time: NOW,
        };
        let shown = to_proto(Watched {
            cursor: "c".to_owned(),
            event: Some(event),
        });
        assert_eq!(shown.r#type(), v1::EventType::ConversationDeleted);
        assert_eq!(
            (shown.conversation_id.as_str(), shown.message_id.as_str()),
            (ID, "")
        );
        assert_eq!((shown.conversation, shown.message), (None, None));
    }
}
