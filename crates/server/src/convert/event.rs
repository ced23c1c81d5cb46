//! Events.

use parlance_app::Result;
use parlance_app::events::{Watch, Watched};
use parlance_domain::{ConversationId, Event, EventSubject};
use parlance_proto::v1;

use super::fields::{Found, set};
use super::{conversation, enums, limits, message, time};

/// `WatchEvents`. What a cursor means is the feed's to say.
pub(crate) fn watch(request: v1::WatchEventsRequest) -> Result<Watch> {
    let mut found = Found::new();
    let v1::WatchEventsRequest {
        conversation_id,
        user,
        types,
        cursor,
    } = request;
    let conversation_id =
        set(conversation_id).and_then(|id| found.id("conversation_id", &id, ConversationId::parse));
    found.text("user", &user, limits::USER);
    let mut kinds = Vec::new();
    for (index, number) in types.into_iter().enumerate() {
        let field = format!("types[{index}]");
        if number == 0 {
            found.push(field, "heartbeats come in any case; give a type of event");
        } else {
            kinds.extend(enums::event_type(&mut found, field, number));
        }
    }
    found.text("cursor", &cursor, limits::CURSOR);
    found.finish(|| {
        Some(Watch {
            conversation_id,
            user: set(user),
            types: kinds,
            cursor,
        })
    })
}

/// An event, or a heartbeat, which has a cursor alone.
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
    use crate::convert::testing::{NOW, wrong};

    const ID: &str = "01932b1c-0000-7000-8000-000000000001";

    #[test]
    fn without_filters_everything_is_watched() {
        assert_eq!(
            watch(v1::WatchEventsRequest::default()).unwrap(),
            Watch::default()
        );
    }

    #[test]
    fn every_wrong_filter_is_named() {
        let request = v1::WatchEventsRequest {
            conversation_id: "x".to_owned(),
            user: "\0".to_owned(),
            types: vec![1, 0, 99],
            cursor: "c".repeat(300),
        };
        let expected = ["conversation_id", "user", "types[1]", "types[2]", "cursor"];
        assert_eq!(wrong(watch(request)), expected);
    }

    #[test]
    fn a_heartbeat_has_a_cursor_alone() {
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
    fn what_is_gone_is_named_and_not_shown() {
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
