//! The events of each change: one, with the row as it then was, in the change's own transaction.

use parlance_domain::{
    Conversation, ConversationStatus, EventSubject, EventType, Json, Message, Owner,
};
use parlance_storage::feed::{FeedEvent, Position};
use parlance_storage::{Database, Guarded, Touch};
use parlance_testkit::eventually;

use crate::support::write::{append_uncommitted, update_message};
use crate::support::{Db, SOON, append, at, committed, conversation, open, owner, recording_sink};

/// Returns all events, page by page. The horizon is that of the whole server, so a transaction of another test may
/// delay them for a while.
pub(crate) async fn all(db: &Database) -> Vec<FeedEvent> {
    eventually(SOON, async || {
        let mut position = Position::default();
        let mut events = Vec::new();
        loop {
            let page = db.feed_page(position, 7).await.unwrap();
            if page.blocked_since.is_some() {
                return None;
            }
            events.extend(page.events);
            if !page.more {
                return Some(events);
            }
            position = events.last().unwrap().position;
        }
    })
    .await
}

fn kinds(events: &[FeedEvent]) -> Vec<EventType> {
    events.iter().map(|event| event.event.kind).collect()
}

async fn changed(db: &Database, owner: &Owner, target: &Conversation, title: &str) -> Conversation {
    let next = Conversation {
        title: title.to_owned(),
        version: target.version + 1,
        ..target.clone()
    };
    let mut tx = db.begin(owner, at(2)).await.unwrap();
    let done = tx.update_conversation(target, &next, true).await.unwrap();
    assert_eq!(done, Guarded::Updated);
    committed(tx).await;
    next
}

on_both! {
    async fn each_change_has_one_event_with_its_row(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let new = Conversation {
            user: "ada ä".to_owned(), metadata: Json::from_text(r#"{"a":1}"#.to_owned()), ..conversation(&owner)
        };
        let mut tx = d.begin(&owner, at(1)).await.unwrap();
        assert!(tx.insert_conversation(&new).await.unwrap());
        committed(tx).await;
        let renamed = changed(d, &owner, &new, "renamed").await;
        let mut tx = d.begin(&owner, at(3)).await.unwrap();
        let first = append_uncommitted(&mut tx, new.id).await.unwrap();
        let mut second = Message { version: 2, body: "second ä".to_owned(), ..first.clone() };
        second.progress.attempt = 7;
        for (kind, before, after) in [(EventType::MessageUpdated, &first, &second), (EventType::MessageStatusChanged, &second, &first)] {
            assert_eq!(update_message(&mut tx, before, &Message { version: before.version + 1, ..after.clone() }, kind, &new.user).await.unwrap(), Guarded::Updated);
        }
        committed(tx).await;

        let events = all(d).await;
        assert_eq!(kinds(&events), [
            EventType::ConversationCreated, EventType::ConversationUpdated, EventType::MessageCreated,
            EventType::MessageUpdated, EventType::MessageStatusChanged,
        ]);
        assert!(events.is_sorted_by(|a, b| a.position < b.position));
        for event in &events {
            assert_eq!((&event.owner, event.event.conversation_id), (&owner, new.id));
            assert_eq!(event.event.user, new.user);
        }
        let times: Vec<_> = events.iter().map(|event| event.event.time).collect();
        assert_eq!(times, [at(1), at(2), at(3), at(3), at(3)]);
        let third = Message { version: 3, ..first.clone() };
        let subjects = [
            EventSubject::Conversation(Box::new(new)), EventSubject::Conversation(Box::new(renamed)),
            EventSubject::Message(Box::new(first)), EventSubject::Message(Box::new(second)),
            EventSubject::Message(Box::new(third)),
        ];
        for (event, subject) in events.into_iter().zip(subjects) {
            assert_eq!(event.event.subject, subject);
        }
    }

    /// The event and the change are one transaction: neither without the other.
    async fn a_rollback_leaves_no_event(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        let kept = append(d, &owner, target.id).await.unwrap();
        let before = all(d).await;
        for abandoned in [false, true] {
            let mut tx = d.begin(&owner, at(0)).await.unwrap();
            let found = tx.lock_conversation(target.id).await.unwrap().unwrap();
            assert!(tx.insert_conversation(&conversation(&owner)).await.unwrap());
            let archived = Conversation { status: ConversationStatus::Archived, version: found.version + 1, ..found.clone() };
            assert_eq!(tx.update_conversation(&found, &archived, true).await.unwrap(), Guarded::Updated);
            append_uncommitted(&mut tx, target.id).await.unwrap();
            let next = Message { version: 2, ..kept.clone() };
            assert_eq!(update_message(&mut tx, &kept, &next, EventType::MessageUpdated, "ada").await.unwrap(), Guarded::Updated);
            assert_eq!(tx.delete_message(&next, "ada").await.unwrap(), Guarded::Updated);
            assert_eq!(tx.hide_conversation(&found).await.unwrap(), Guarded::Updated);
            if abandoned { drop(tx) } else { tx.rollback().await.unwrap() }
            // On SQLite a new writer waits for the rollback of an abandoned one; on Postgres it reads nothing of it.
            d.begin(&owner, at(0)).await.unwrap().rollback().await.unwrap();
            assert_eq!(all(d).await, before);
        }
    }

    async fn deletion_scrubs_the_copies(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        let gone = append(d, &owner, target.id).await.unwrap();
        let kept = append(d, &owner, target.id).await.unwrap();
        let mut tx = d.begin(&owner, at(4)).await.unwrap();
        assert_eq!(tx.delete_message(&gone, "ada").await.unwrap(), Guarded::Updated);
        committed(tx).await;
        let events = all(d).await;
        assert_eq!(kinds(&events).last(), Some(&EventType::MessageDeleted));
        for FeedEvent { event, .. } in &events {
            let blank = event.subject == EventSubject::Gone;
            assert_eq!(blank, event.message_id == Some(gone.id), "{event:?}");
        }

        let target = d.conversation(&owner, target.id).await.unwrap().unwrap();
        let mut tx = d.begin(&owner, at(5)).await.unwrap();
        assert_eq!(tx.hide_conversation(&target).await.unwrap(), Guarded::Updated);
        assert_eq!(tx.delete_some_messages(&target, 9).await.unwrap(), 1);
        assert_eq!(tx.remove_hidden_conversation(&target).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        let events = all(d).await;
        assert_eq!(kinds(&events).last(), Some(&EventType::ConversationDeleted));
        assert!(events.iter().any(|e| e.event.message_id == Some(kept.id)));
        assert!(events.iter().all(|e| e.event.subject == EventSubject::Gone));
    }

    /// The change set of a commit covers every event of its transaction.
    async fn every_feed_event_is_in_the_change_set(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let sink = recording_sink();
        let mut tx = d.begin(&owner, at(0)).await.unwrap();
        let new = conversation(&owner);
        assert!(tx.insert_conversation(&new).await.unwrap());
        let first = append_uncommitted(&mut tx, new.id).await.unwrap();
        let found = tx.conversation(new.id).await.unwrap().unwrap();
        let moved = Conversation { user: "eve".to_owned(), version: found.version + 1, ..found.clone() };
        assert_eq!(tx.update_conversation(&found, &moved, true).await.unwrap(), Guarded::Updated);
        let next = Message { version: 2, ..first.clone() };
        assert_eq!(update_message(&mut tx, &first, &next, EventType::MessageUpdated, "eve").await.unwrap(), Guarded::Updated);
        assert_eq!(tx.delete_message(&next, "eve").await.unwrap(), Guarded::Updated);
        assert_eq!(tx.hide_conversation(&moved).await.unwrap(), Guarded::Updated);
        tx.commit(&sink).await.unwrap();
        let changes = sink.all();
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].owner(), &owner);
        assert_eq!(changes[0].touches(), [
            Touch::ConversationCreated(new.id, "ada".to_owned()),
            Touch::ConversationChanged(new.id, "ada".to_owned()),
            Touch::MessageCreated(Box::new(first.clone()), "ada".to_owned()),
            Touch::ConversationChanged(new.id, "eve".to_owned()),
            Touch::MessageChanged(first.id, new.id, "eve".to_owned()),
            Touch::MessageDeleted(first.id, new.id, "eve".to_owned()),
            Touch::ConversationDeleted(new.id, "eve".to_owned()),
        ]);
    }

    /// From now on: what was committed before is skipped, what is committed after is returned.
    async fn reading_from_now_skips_earlier_commits(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        append(d, &owner, target.id).await.unwrap();
        let start = d.feed_now().await.unwrap();
        assert!(start.seen.is_some() == (db.kind == crate::support::Kind::Postgres));
        let after = append(d, &owner, target.id).await.unwrap();
        let page = eventually(SOON, async || {
            let page = d.feed_page(start.position, 100).await.unwrap();
            page.blocked_since.is_none().then_some(page)
        }).await;
        let news: Vec<_> = page.events.iter()
            .filter(|e| !start.seen.as_ref().is_some_and(|seen| seen.contains(e.position.xid)))
            .map(|e| e.event.message_id)
            .collect();
        assert_eq!(news, [Some(after.id)]);
    }
}
