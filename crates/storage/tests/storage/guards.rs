//! Updates that are guarded by the version that was read.

use parlance_domain::{Conversation, EventType, Message, MessageStatus, Sender};
use parlance_storage::{Guarded, StorageError};

use crate::support::write::{queued, update_message};
use crate::support::{Db, append, at, committed, open, owner, recording_sink, sender};

on_both! {
    /// Without the version in the WHERE the second update would win.
    async fn an_old_version_writes_nothing(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let first = append(&db.open, &owner, target.id).await.unwrap();
        let target = db.open.conversation(&owner, target.id).await.unwrap().unwrap();
        let from = sender(&owner);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(tx.insert_sender(&from).await.unwrap());
        let second = Message { body: "second".to_owned(), version: first.version + 1, ..first.clone() };
        let renamed = Conversation { title: "second".to_owned(), version: target.version + 1, ..target.clone() };
        let moved = Sender { provider: "second".to_owned(), version: 2, ..from.clone() };
        let updated = EventType::MessageUpdated;
        assert_eq!(update_message(&mut tx, &first, &second, updated, "ada").await.unwrap(), Guarded::Updated);
        assert_eq!(tx.update_conversation(&target, &renamed, true).await.unwrap(), Guarded::Updated);
        assert_eq!(tx.update_sender(&from, &moved).await.unwrap(), Guarded::Updated);
        committed(tx).await;

        let events = db.count("feed").await;
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let late = Message { body: "late".to_owned(), ..second.clone() };
        assert_eq!(update_message(&mut tx, &first, &late, updated, "ada").await.unwrap(), Guarded::Stale);
        let late = Conversation { title: "late".to_owned(), ..renamed.clone() };
        assert_eq!(tx.update_conversation(&target, &late, true).await.unwrap(), Guarded::Stale);
        let late = Sender { provider: "late".to_owned(), ..moved.clone() };
        assert_eq!(tx.update_sender(&from, &late).await.unwrap(), Guarded::Stale);
        assert_eq!(tx.delete_message(&first, "ada").await.unwrap(), Guarded::Stale);
        committed(tx).await;
        assert_eq!(db.open.message(&owner, first.id).await.unwrap(), Some(second));
        assert_eq!(db.open.conversation(&owner, target.id).await.unwrap(), Some(renamed));
        assert_eq!(db.open.sender(&owner, from.id).await.unwrap(), Some(moved));
        assert_eq!(db.count("feed").await, events, "an update that was not made has no event");
    }

    /// Of two writers that read the same version and write at once, one is refused.
    async fn one_of_two_concurrent_updates_is_stale(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let found = append(&db.open, &owner, target.id).await.unwrap();
        let racers: Vec<_> = (0..8).map(|n| {
            let (db, owner, found) = (db.open.clone(), owner.clone(), found.clone());
            tokio::spawn(async move {
                let mut tx = db.begin(&owner, at(n)).await.unwrap();
                let changed = Message { body: format!("racer {n}"), version: 2, ..found.clone() };
                let done = update_message(&mut tx, &found, &changed, EventType::MessageUpdated, "ada").await.unwrap();
                tx.commit(&recording_sink()).await.unwrap();
                done
            })
        }).collect();
        let mut updated = 0;
        for racer in racers {
            updated += i32::from(racer.await.unwrap() == Guarded::Updated);
        }
        assert_eq!(updated, 1);
        assert_eq!(db.count("feed WHERE kind = 'message_updated'").await, 1);
    }

    async fn a_message_that_is_being_sent_is_not_deleted(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let mut found = append(&db.open, &owner, target.id).await.unwrap();
        for &status in MessageStatus::ALL {
            let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
            let mut changed = Message { version: found.version + 1, ..found.clone() };
            changed.progress.status = status;
            let done = update_message(&mut tx, &found, &changed, EventType::MessageStatusChanged, "ada").await.unwrap();
            assert_eq!(done, Guarded::Updated);
            tx.commit(&recording_sink()).await.unwrap();
            found = changed;

            let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
            let gone = tx.delete_message(&found, "ada").await.unwrap();
            let in_flight = matches!(status, MessageStatus::Sending | MessageStatus::Uncertain);
            assert_eq!(gone, if in_flight { Guarded::Stale } else { Guarded::Updated }, "{status}");
            assert_eq!(tx.message(found.id).await.unwrap().is_some(), in_flight, "{status}");
            tx.rollback().await.unwrap();
        }
    }

    /// Postgres answers COMMIT with ROLLBACK, and no error, if a statement failed before: a caller that ignored that
    /// error would take everything for written, and so would the sink.
    async fn after_a_failed_statement_nothing_can_be_committed(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        append(&db.open, &owner, target.id).await.unwrap();
        let found = db.open.conversation(&owner, target.id).await.unwrap().unwrap();
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let from = sender(&owner);
        assert!(tx.insert_sender(&from).await.unwrap());
        let taken = tx.insert_message(&crate::support::message(&found), &found).await;
        assert!(matches!(taken, Err(StorageError::Conflict(_))), "{taken:?}");
        let sink = recording_sink();
        assert!(tx.commit(&sink).await.is_err());
        assert_eq!(sink.all(), []);
        assert_eq!(db.open.sender(&owner, from.id).await.unwrap(), None);
    }

    async fn a_sender_with_waiting_messages_is_not_deleted(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let new = append(&db.open, &owner, target.id).await.unwrap();
        let from = sender(&owner);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(tx.insert_sender(&from).await.unwrap());
        assert!(!tx.messages_wait_for_sender(from.id).await.unwrap());
        queued(&mut tx, &new, &from).await;
        assert!(tx.messages_wait_for_sender(from.id).await.unwrap());
        committed(tx).await;

        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert!(tx.delete_sender(from.id).await.is_err(), "the delivery refers to it");
        drop(tx);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.delete_delivery(&new).await.unwrap(), Some(0));
        assert_eq!(tx.delete_delivery(&new).await.unwrap(), None);
        assert_eq!(tx.delete_sender(from.id).await.unwrap(), Guarded::Updated);
        assert_eq!(tx.delete_sender(from.id).await.unwrap(), Guarded::Stale);
        committed(tx).await;
        assert_eq!(db.count("deliveries").await, 0);
    }
}
