//! Tests of what each event makes of a message, and of what it leaves alone.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::message::{Content, Placement, Progress, Report, ReportStatus};
use crate::{Conversation, ConversationId, ConversationStatus, Direction, MessageId, Owner};

const MADE: Timestamp = Timestamp::from_micros(1_000);
const NOW: Timestamp = Timestamp::from_micros(2_000);
const LATER: Timestamp = Timestamp::from_micros(3_000);

fn message(progress: Progress) -> Message {
    let conversation = Conversation {
        id: ConversationId::new(MADE, [2; 10]),
        owner: Owner::default(),
        user: String::new(),
        channel: Channel::Sms,
        participant_from: "+15550000001".to_owned(),
        participant_to: "+15550000002".to_owned(),
        title: String::new(),
        status: ConversationStatus::Active,
        external_id: None,
        last_sequence: 1,
        read_sequence: 0,
        message_count: 1,
        unread_count: 0,
        last_message_at: Some(MADE),
        metadata: Json::default(),
        created_at: MADE,
        updated_at: MADE,
        version: 1,
        edit_version: 1,
    };
    let placement = Placement {
        id: MessageId::new(MADE, [1; 10]),
        conversation: &conversation,
        channel: Channel::Sms,
        direction: Direction::Outbound,
        attachments: Vec::new(),
        progress,
        counts_unread: false,
        created_at: MADE,
    };
    let content = Content {
        body: "hello".to_owned(),
        ..Content::default()
    };
    Message {
        provider: Some("simulator".to_owned()),
        version: 7,
        edit_version: 3,
        ..Message::new(placement, content)
    }
}

fn in_status(status: MessageStatus) -> Message {
    message(Progress {
        status,
        ..Progress::pending()
    })
}

fn reported(status: ReportStatus) -> ProgressEvent {
    ProgressEvent::Report(Report {
        status,
        attempt: None,
        error: None,
        occurred_at: NOW,
    })
}

/// An event of every use case, with a message that it changes.
fn use_cases() -> Vec<(&'static str, Message, MessageEvent)> {
    let sent = reported(ReportStatus::Sent);
    let accepted = MessageEvent::Delivery {
        steps: ProgressEvent::of_attempt(1, Some(sent.clone())),
        provider_message_id: Some("p1".to_owned()),
    };
    let edit = Edit {
        body: Some("new".to_owned()),
        send_at: Some(None),
        ..Edit::default()
    };
    let (scheduled, pending) = (message(Progress::scheduled()), message(Progress::pending()));
    vec![
        ("report", pending.clone(), sent.into()),
        ("cancel", scheduled.clone(), ProgressEvent::Cancel.into()),
        ("edit", scheduled.clone(), MessageEvent::Edit(edit)),
        ("due", scheduled.clone(), ProgressEvent::Due.into()),
        (
            "hand over",
            scheduled,
            ProgressEvent::of_attempt(1, None).into(),
        ),
        ("outcome", pending.clone(), accepted),
        (
            "expire",
            pending,
            ProgressEvent::Expire { attempt: 0 }.into(),
        ),
    ]
}

#[test]
fn a_change_counts_the_version_and_sets_the_time() {
    for (name, found, event) in use_cases() {
        let edited = i64::from(matches!(event, MessageEvent::Edit(_)));
        let transition = found.decide(event, NOW).unwrap();
        assert_eq!(transition.found(), &found, "{name}");
        assert_eq!(transition.kind(), EventType::MessageStatusChanged, "{name}");
        let status = transition.status();
        let changed = transition.into_changed().unwrap();
        assert_ne!(status, found.progress.status, "{name}");
        assert_eq!(changed.progress.status, status, "{name}");
        assert_eq!(
            (changed.version, changed.edit_version, changed.updated_at),
            (8, 3 + edited, NOW),
            "{name}"
        );
    }
}

#[test]
fn a_repeated_event_changes_nothing() {
    for (name, found, event) in use_cases() {
        let first = found.decide(event.clone(), NOW).unwrap();
        let once = first.into_changed().unwrap();
        match once.decide(event, LATER) {
            Some(again) => {
                assert_eq!(again.changed(), None, "{name}");
                assert_eq!(again.status(), once.progress.status, "{name}");
            }
            // The message is no longer scheduled.
            None => assert_eq!(name, "edit"),
        }
    }
}

#[test]
fn a_transition_without_a_new_status_is_an_update() {
    let found = in_status(MessageStatus::Sending);
    let edit = Edit {
        metadata: Some(Json::from_text("{\"a\":1}".to_owned())),
        ..Edit::default()
    };
    for event in [
        MessageEvent::Edit(edit),
        ProgressEvent::of_attempt(1, None).into(),
    ] {
        let transition = found.decide(event, NOW).unwrap();
        assert_eq!(transition.kind(), EventType::MessageUpdated);
        assert!(transition.changed().is_some());
    }
}

#[test]
fn the_last_step_decides_whether_an_event_is_possible() {
    let received = message(Progress::received());
    assert_eq!(received.decide(ProgressEvent::Cancel.into(), NOW), None);
    let steps = ProgressEvent::of_attempt(1, Some(reported(ReportStatus::Sent)));
    assert_eq!(received.decide(steps.into(), NOW), None);
    let nothing = received
        .decide(Vec::<ProgressEvent>::new().into(), NOW)
        .unwrap();
    assert_eq!(nothing.changed(), None);
    // SENDING was shown, so the first two steps are ignored.
    let shown = message(Progress {
        status: MessageStatus::Sending,
        attempt: 1,
        ..Progress::pending()
    });
    let lost = ProgressEvent::of_attempt(1, Some(ProgressEvent::AnswerLost { attempt: 1 }));
    let lost = shown.decide(lost.into(), NOW).unwrap();
    assert_eq!(lost.status(), MessageStatus::Uncertain);
}

#[test]
fn the_provider_id_is_stored_in_every_state() {
    for &status in MessageStatus::ALL {
        let found = in_status(status);
        let event = MessageEvent::Delivery {
            steps: vec![reported(ReportStatus::Sent)],
            provider_message_id: Some("p1".to_owned()),
        };
        let transition = found.decide(event, NOW).unwrap();
        let changed = transition.into_changed().unwrap();
        assert_eq!(changed.provider_message_id.as_deref(), Some("p1"));
        assert_eq!(changed.version, 8, "{status}");
    }
}

/// A report ends the delivery of every state that has one, so it may be removed before the report is decided.
#[test]
fn a_report_leaves_no_message_under_way() {
    for &status in MessageStatus::ALL {
        for &report in ReportStatus::ALL {
            let found = in_status(status);
            let steps = ProgressEvent::of_attempt(1, Some(reported(report)));
            let Some(transition) = found.decide(steps.into(), NOW) else {
                continue;
            };
            let under_way = matches!(
                transition.status(),
                MessageStatus::Scheduled
                    | MessageStatus::Pending
                    | MessageStatus::Sending
                    | MessageStatus::Uncertain
            );
            assert!(!under_way, "{status} and {report}");
        }
    }
}

fn any_report() -> impl Strategy<Value = Report> {
    let attempt = proptest::option::of(0..4);
    (select(ReportStatus::ALL), attempt).prop_map(|(status, attempt)| Report {
        status,
        attempt,
        error: None,
        occurred_at: NOW,
    })
}

proptest! {
    /// A late report of an older attempt comes while the delivery waits for the next one.
    #[test]
    fn a_report_that_does_not_count_changes_nothing(
        status in select(vec![
            MessageStatus::Scheduled,
            MessageStatus::Pending,
            MessageStatus::Sending,
            MessageStatus::Uncertain,
        ]),
        attempt in 0..4,
        last in 1..4,
        report in any_report(),
    ) {
        let found = message(Progress {
            status,
            attempt,
            ..Progress::pending()
        });
        let latest = attempt.max(last);
        let counts = report.status.is_arrival()
            || report.attempt.is_none_or(|reported| reported == latest);
        let steps = ProgressEvent::of_attempt(last, Some(ProgressEvent::Report(report)));
        let transition = found.decide(steps.into(), NOW);
        let changed = transition.and_then(Transition::into_changed);
        prop_assert_eq!(changed.is_some(), counts);
    }
}

#[test]
fn only_scheduled_and_chat_texts_can_be_edited() {
    let all = Edit {
        metadata: Some(Json::default()),
        body: Some("new".to_owned()),
        send_at: Some(Some(LATER)),
        expires_at: Some(None),
    };
    let scheduled = message(Progress::scheduled());
    assert!(all.refused(&scheduled).is_empty());
    let sent = in_status(MessageStatus::Sent);
    assert_eq!(all.refused(&sent), ["body", "send_at", "expires_at"]);
    assert_eq!(sent.decide(MessageEvent::Edit(all.clone()), NOW), None);
    let chat = Message {
        channel: Channel::Chat,
        ..sent
    };
    assert_eq!(all.refused(&chat), ["send_at", "expires_at"]);
}

#[test]
fn a_provider_changes_before_the_first_attempt_only() {
    let change = || MessageEvent::ChangeProvider("other".to_owned());
    for &status in MessageStatus::ALL {
        let found = in_status(status);
        let waits = [MessageStatus::Scheduled, MessageStatus::Pending].contains(&status);
        let changed = found.decide(change(), NOW);
        let changed = changed.and_then(Transition::into_changed);
        let expected = waits.then(|| Message {
            provider: Some("other".to_owned()),
            updated_at: NOW,
            version: 8,
            ..found.clone()
        });
        assert_eq!(changed, expected, "{status}");
    }
    let attempted = message(Progress {
        attempt: 1,
        ..Progress::pending()
    });
    assert_eq!(attempted.decide(change(), NOW), None);
}

#[test]
fn an_edit_sets_its_fields_only() {
    let found = Message {
        send_at: Some(LATER),
        expires_at: Some(LATER),
        ..message(Progress::scheduled())
    };
    let edit = Edit {
        body: Some("x".repeat(161)),
        expires_at: Some(None),
        ..Edit::default()
    };
    let transition = found.decide(MessageEvent::Edit(edit), NOW).unwrap();
    let expected = Message {
        body: "x".repeat(161),
        segments: 2,
        expires_at: None,
        updated_at: NOW,
        version: 8,
        edit_version: 4,
        ..found.clone()
    };
    assert_eq!(transition.changed(), Some(&expected));
    assert_eq!(transition.kind(), EventType::MessageUpdated);
}

#[test]
fn a_send_time_in_the_past_sends_at_once() {
    let found = Message {
        send_at: Some(LATER),
        ..message(Progress::scheduled())
    };
    for (send_at, status) in [
        (None, MessageStatus::Pending),
        (Some(NOW), MessageStatus::Pending),
        (Some(LATER), MessageStatus::Scheduled),
    ] {
        let edit = Edit {
            send_at: Some(send_at),
            ..Edit::default()
        };
        let transition = found.decide(MessageEvent::Edit(edit), NOW).unwrap();
        assert_eq!(transition.status(), status, "{send_at:?}");
    }
}
