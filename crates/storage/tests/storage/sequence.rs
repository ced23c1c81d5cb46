//! The sequence of a conversation's messages: 1, 2, 3, ... in the order of commit.

use std::sync::{Arc, Mutex};

use parlance_storage::Guarded;
use parlance_storage::db::message::MessageRange;

use crate::support::write::append_uncommitted;
use crate::support::{Db, append, at, message, open, owner, recording_sink};

const WRITERS: i64 = 32;
const EACH: i64 = 25;

on_both! {
    /// Without the lock two writers read one `last_sequence`; the version in the update would refuse the second, which
    /// `placed` takes for a failure. Every fifth attempt is given up in the middle.
    async fn thirty_two_writers_leave_no_gap(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await.id;
        let commits = Arc::new(Mutex::new(Vec::new()));
        let writers: Vec<_> = (0..WRITERS).map(|writer| {
            let (db, owner, commits) = (db.open.clone(), owner.clone(), Arc::clone(&commits));
            tokio::spawn(async move {
                for n in 0..EACH {
                    if (writer + n) % 5 == 0 {
                        let mut tx = db.begin(&owner, at(n)).await.unwrap();
                        append_uncommitted(&mut tx, target).await.unwrap();
                        if n % 2 == 0 { tx.rollback().await.unwrap() } else { drop(tx) }
                    }
                    let before = commits.lock().unwrap().len();
                    let new = append(&db, &owner, target).await.unwrap();
                    // A writer that was known to be committed before this one began has a lower number.
                    let mut commits = commits.lock().unwrap();
                    assert!(commits[..before].iter().all(|sequence| *sequence < new.sequence));
                    commits.push(new.sequence);
                }
            })
        }).collect();
        for writer in writers {
            writer.await.unwrap();
        }

        let total = WRITERS * EACH;
        let all = MessageRange { above: 0, below: None, oldest_first: true };
        let messages = db.open.message_page(&owner, target, all, total + 1).await.unwrap();
        let sequences: Vec<i64> = messages.iter().map(|m| m.sequence).collect();
        assert_eq!(sequences, (1..=total).collect::<Vec<_>>());
        let mut handed_out = commits.lock().unwrap().clone();
        handed_out.sort_unstable();
        assert_eq!(handed_out, sequences);
        let conversation = db.open.conversation(&owner, target).await.unwrap().unwrap();
        assert_eq!((conversation.last_sequence, conversation.message_count), (total, total));
        assert_eq!(db.count("feed").await, total + 1, "one event each, none of those given up");
    }

    /// The database itself refuses a number that is taken, in case a caller does not lock.
    async fn a_sequence_is_used_once(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        append(&db.open, &owner, target.id).await.unwrap();
        let found = db.open.conversation(&owner, target.id).await.unwrap().unwrap();
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let again = tx.insert_message(&message(&found), &found).await;
        assert!(matches!(again, Err(parlance_storage::StorageError::Conflict(_))), "{again:?}");
        drop(tx);
        assert_eq!(db.count("messages").await, 1);
    }

    async fn a_deleted_sequence_is_not_used_again(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await.id;
        let mut last = append(&db.open, &owner, target).await.unwrap();
        last = append(&db.open, &owner, target).await.unwrap_or(last);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        tx.lock_conversation(target).await.unwrap();
        assert_eq!(tx.delete_message(&last, "ada").await.unwrap(), Guarded::Updated);
        tx.commit(&recording_sink()).await.unwrap();
        assert_eq!(append(&db.open, &owner, target).await.unwrap().sequence, 3);
    }
}
