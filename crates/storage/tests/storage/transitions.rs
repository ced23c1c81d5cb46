//! Transitions of messages: each is written once, and a repeated one is only put into the change set.

use parlance_domain::message::{
    Edit, MessageEvent, Progress, ProgressEvent, Report, ReportStatus, Transition,
};
use parlance_domain::{EventType, Json, Message, MessageStatus};
use parlance_storage::{Guarded, Touch};

use crate::support::write::{store, update_message};
use crate::support::{Db, append, at, open, owner, recording_sink};

/// An event of every use case, in an order in which each changes the message.
fn use_cases() -> Vec<(&'static str, MessageEvent, MessageStatus)> {
    let report = |status| {
        ProgressEvent::Report(Report {
            status,
            attempt: None,
            error: None,
            occurred_at: at(1),
        })
    };
    let accepted = MessageEvent::Delivery {
        steps: ProgressEvent::of_attempt(2, Some(report(ReportStatus::Sent))),
        provider_message_id: Some("p1".to_owned()),
    };
    let edit = Edit {
        metadata: Some(Json::from_text(r#"{"a":1}"#.to_owned())),
        ..Edit::default()
    };
    vec![
        ("edit", MessageEvent::Edit(edit), MessageStatus::Scheduled),
        ("due", ProgressEvent::Due.into(), MessageStatus::Pending),
        (
            "hand over",
            ProgressEvent::of_attempt(1, None).into(),
            MessageStatus::Sending,
        ),
        ("outcome", accepted, MessageStatus::Sent),
        (
            "report",
            report(ReportStatus::Delivered).into(),
            MessageStatus::Delivered,
        ),
    ]
}

/// Events that end a scheduled message.
fn endings() -> Vec<(&'static str, MessageEvent, MessageStatus)> {
    vec![
        (
            "cancel",
            ProgressEvent::Cancel.into(),
            MessageStatus::Canceled,
        ),
        (
            "expire",
            ProgressEvent::Expire { attempt: 0 }.into(),
            MessageStatus::Expired,
        ),
    ]
}

/// Stores a scheduled message.
async fn scheduled(db: &Db) -> Message {
    let owner = owner("acme");
    let target = open(&db.open, &owner).await;
    let found = append(&db.open, &owner, target.id).await.unwrap();
    let changed = Message {
        progress: Progress::scheduled(),
        version: found.version + 1,
        ..found.clone()
    };
    let mut tx = db.open.begin(&owner, at(1)).await.unwrap();
    let status = EventType::MessageStatusChanged;
    let done = update_message(&mut tx, &found, &changed, status, "ada");
    assert_eq!(done.await.unwrap(), Guarded::Updated);
    tx.commit(&recording_sink()).await.unwrap();
    changed
}

/// Applies an event to the stored message, checks that it is in the change set, and returns whether it was written.
async fn apply(db: &Db, of: &Message, event: MessageEvent, name: &str) -> bool {
    let sink = recording_sink();
    let mut tx = db.open.begin(&of.owner, at(2)).await.unwrap();
    let found = tx.lock_message(of.id).await.unwrap().unwrap();
    let transition = found.decide(event, tx.now()).unwrap();
    let changed = transition.changed().cloned();
    let done = store(&mut tx, &[(transition, "ada")]).await.unwrap();
    assert_eq!(done, Guarded::Updated, "{name}");
    tx.commit(&sink).await.unwrap();
    let touch = Touch::MessageChanged(of.id, of.conversation_id, "ada".to_owned());
    assert_eq!(sink.all()[0].touches(), [touch], "{name}");
    let stored = db.open.message(&of.owner, of.id).await.unwrap().unwrap();
    assert_eq!(&stored, changed.as_ref().unwrap_or(&found), "{name}");
    changed.is_some()
}

/// Applies an event twice: the first time it is written with its feed event, the second time it is not.
async fn apply_twice(
    db: &Db,
    of: &Message,
    event: MessageEvent,
    status: MessageStatus,
    name: &str,
) {
    let events = db.count("feed").await;
    assert!(apply(db, of, event.clone(), name).await, "{name}");
    assert_eq!(db.count("feed").await, events + 1, "{name}");
    assert!(!apply(db, of, event, name).await, "{name}, repeated");
    assert_eq!(db.count("feed").await, events + 1, "{name}, repeated");
    let stored = db.open.message(&of.owner, of.id).await.unwrap().unwrap();
    assert_eq!(stored.progress.status, status, "{name}");
}

fn due(message: &Message) -> Transition<'_> {
    message.decide(ProgressEvent::Due.into(), at(2)).unwrap()
}

on_both! {
    /// The first request may have been interrupted before the cache was invalidated.
    async fn a_repeated_event_is_in_the_change_set_and_writes_nothing(db: Db) {
        let message = scheduled(&db).await;
        for (name, event, status) in use_cases() {
            apply_twice(&db, &message, event, status, name).await;
        }
        for (name, event, status) in endings() {
            let message = scheduled(&db).await;
            apply_twice(&db, &message, event, status, name).await;
        }
    }

    /// Of a batch with a repeated event every message is in the change set; a stale message stops the batch.
    async fn a_batch_writes_what_has_changed(db: Db) {
        let (first, second) = (scheduled(&db).await, scheduled(&db).await);
        let events = db.count("feed").await;
        let mut tx = db.open.begin(&first.owner, at(2)).await.unwrap();
        let repeated = first.decide(Vec::<ProgressEvent>::new().into(), at(2)).unwrap();
        let done = store(&mut tx, &[(repeated, "ada"), (due(&second), "ada")]).await.unwrap();
        assert_eq!(done, Guarded::Updated);
        let touch = |of: &Message| Touch::MessageChanged(of.id, of.conversation_id, "ada".to_owned());
        assert_eq!(tx.touched().touches(), [touch(&first), touch(&second)]);
        tx.commit(&recording_sink()).await.unwrap();
        assert_eq!(db.count("feed").await, events + 1);

        let mut tx = db.open.begin(&first.owner, at(3)).await.unwrap();
        let done = store(&mut tx, &[(due(&first), "ada"), (due(&second), "ada")]).await.unwrap();
        assert_eq!(done, Guarded::Stale);
        tx.rollback().await.unwrap();
        assert_eq!(db.count("feed").await, events + 1);
    }
}
