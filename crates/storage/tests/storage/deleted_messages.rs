//! What remains of deleted messages: the provider ids of inbound ones; and the newest time of the remaining messages.

use parlance_domain::{Message, Owner};
use parlance_storage::{Database, Guarded};

use crate::plans::{fill, first_conversation};
use crate::support::{Db, Kind, append, at, committed, open, owner};

/// Receives a message of a conversation from a provider.
async fn receive_from_provider(db: &Db, message: &Message, id: &str) -> Message {
    db.run(&format!(
        "UPDATE messages SET direction = 'inbound', status = 'received', provider = 'p', provider_message_id = '{id}' WHERE id = {}",
        db.id(message.id)
    ))
    .await;
    let found = db.open.message(&message.owner, message.id).await;
    found.unwrap().unwrap()
}

async fn was_deleted(db: &Database, owner: &Owner, id: &str) -> bool {
    let mut tx = db.begin(owner, at(0)).await.unwrap();
    let found = tx.was_deleted("p", id).await.unwrap();
    tx.rollback().await.unwrap();
    found
}

/// Sets the creation time of a message, in its row alone.
async fn made(db: &Db, sequence: i64, seconds: i64) {
    let seconds = 1_700_000_000 + seconds;
    let time = match db.kind {
        Kind::Postgres => format!("to_timestamp({seconds})"),
        Kind::Sqlite => format!("{seconds} * 1000000"),
    };
    db.run(&format!(
        "UPDATE messages SET created_at = {time} WHERE sequence = {sequence}"
    ))
    .await;
}

on_both! {
    async fn deleted_inbound_messages_leave_tombstones(db: Db) {
        let (owner, other, d) = (owner("acme"), owner("other"), &db.open);
        let target = open(d, &owner).await;
        let sent = append(d, &owner, target.id).await.unwrap();
        let (first, second) = (append(d, &owner, target.id).await.unwrap(), append(d, &owner, target.id).await.unwrap());
        let (first, _) = (receive_from_provider(&db, &first, "1").await, receive_from_provider(&db, &second, "2").await);
        for message in [&sent, &first] {
            let mut tx = d.begin(&owner, at(0)).await.unwrap();
            assert_eq!(tx.delete_message(message, "ada").await.unwrap(), Guarded::Updated);
            committed(tx).await;
        }
        assert!(was_deleted(d, &owner, "1").await);
        assert!(!was_deleted(d, &owner, "2").await);
        assert!(!was_deleted(d, &other, "1").await);
        assert_eq!(db.count("deleted_messages").await, 1, "sent messages leave no tombstone");

        let mut tx = d.begin(&owner, at(10)).await.unwrap();
        assert_eq!(tx.hide_conversation(&target).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        assert!(was_deleted(d, &owner, "2").await, "hidden is deleted");
        let mut tx = d.begin(&owner, at(10)).await.unwrap();
        assert_eq!(tx.delete_some_messages(&target, 9).await.unwrap(), 1);
        committed(tx).await;
        assert!(was_deleted(d, &owner, "2").await);

        assert_eq!(d.prune_deleted_messages(at(10), 9).await.unwrap(), 1);
        assert!(!was_deleted(d, &owner, "1").await);
        assert!(was_deleted(d, &owner, "2").await);
    }

    async fn old_tombstones_are_removed_in_batches(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        for n in 0..5 {
            let message = append(d, &owner, target.id).await.unwrap();
            let message = receive_from_provider(&db, &message, &n.to_string()).await;
            let mut tx = d.begin(&owner, at(n)).await.unwrap();
            assert_eq!(tx.delete_message(&message, "ada").await.unwrap(), Guarded::Updated);
            committed(tx).await;
        }
        for removed in [2, 2, 0] {
            assert_eq!(d.prune_deleted_messages(at(4), 2).await.unwrap(), removed);
        }
        assert!(was_deleted(d, &owner, "4").await);
    }

    /// A provider may deliver an older message after a newer one.
    async fn the_newest_time_need_not_have_the_highest_sequence(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        for (sequence, seconds) in [(1, 300), (2, 200), (3, 100)] {
            append(d, &owner, target.id).await.unwrap();
            made(&db, sequence, seconds).await;
        }
        let mut tx = d.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.newest_message_time(target.id).await.unwrap(), Some(at(300)));
        tx.rollback().await.unwrap();
    }

    /// Imported messages have any creation time, so all of them are read, a thousand by each statement.
    async fn the_newest_time_of_an_import_may_be_anywhere(db: Db) {
        fill(&db, 2_500).await;
        let (owner, id) = (owner("acme"), first_conversation(&db));
        made(&db, 7, 900_000).await;
        let id_text = db.id(id);
        db.run(&format!("INSERT INTO imports (conversation_id, owner, messages) VALUES ({id_text}, 'other', 2500)")).await;
        db.run(&format!("UPDATE imports SET owner = (SELECT owner FROM conversations WHERE id = {id_text})")).await;
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.newest_message_time(id).await.unwrap(), Some(at(900_000)));
        tx.rollback().await.unwrap();
    }
}
