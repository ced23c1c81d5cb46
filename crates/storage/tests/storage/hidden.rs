//! Deleting a conversation: hidden in one write, then removed in batches, and no copy of it stays in the feed.

use parlance_domain::{Conversation, EventType, Message, Owner};
use parlance_storage::db::conversation::ConversationFilter;
use parlance_storage::db::message::MessageRange;
use parlance_storage::{Database, Guarded, Touch};

use crate::support::write::{append_uncommitted, queued, update_message};
use crate::support::{Db, append, at, attachment, committed, open, owner, recording_sink, sender};

/// Without a lock: its guard is in the statement.
async fn hide(db: &Database, owner: &Owner, conversation: &Conversation) {
    let mut tx = db.begin(owner, at(50)).await.unwrap();
    let done = tx.hide_conversation(conversation).await.unwrap();
    assert_eq!(done, Guarded::Updated);
    committed(tx).await;
}

async fn remove(db: &Database, conversation: &Conversation) {
    loop {
        let mut tx = db.begin(&conversation.owner, at(60)).await.unwrap();
        let gone = tx.delete_some_messages(conversation, 2).await.unwrap();
        assert_eq!(tx.touched().touches().len(), gone);
        if gone == 0 {
            let done = tx.remove_hidden_conversation(conversation).await.unwrap();
            assert_eq!(done, Guarded::Updated);
            return committed(tx).await;
        }
        committed(tx).await;
    }
}

on_both! {
    async fn a_hidden_conversation_is_invisible(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        let from = sender(&owner);
        let mut tx = d.begin(&owner, at(0)).await.unwrap();
        assert!(tx.insert_sender(&from).await.unwrap());
        let new = append_uncommitted(&mut tx, target.id).await.unwrap();
        queued(&mut tx, &new, &from).await;
        let held = attachment();
        tx.insert_attachment(&held, new.id, vec![b"abc".to_vec()]).await.unwrap();
        let known = Message { version: 2, provider: Some("p".to_owned()), provider_message_id: Some("1".to_owned()), ..new.clone() };
        assert_eq!(update_message(&mut tx, &new, &known, EventType::MessageUpdated, "ada").await.unwrap(), Guarded::Updated);
        committed(tx).await;
        let target = d.conversation(&owner, target.id).await.unwrap().unwrap();
        hide(d, &owner, &target).await;

        let all = MessageRange { above: 0, below: None, oldest_first: false };
        assert_eq!(d.conversation(&owner, target.id).await.unwrap(), None);
        assert_eq!(d.conversations(&owner, &ConversationFilter::default(), None, 9).await.unwrap(), []);
        assert_eq!(d.count_conversations(&owner, &ConversationFilter::default()).await.unwrap(), 0);
        assert_eq!(d.message_page(&owner, target.id, all, 9).await.unwrap(), []);
        assert_eq!(d.message(&owner, new.id).await.unwrap(), None);
        assert_eq!(d.messages(&owner, &[new.id]).await.unwrap(), []);
        assert_eq!(d.message_by_provider_id(&owner, "p", "1").await.unwrap(), None);
        assert_eq!(d.attachment(&owner, new.id, held.id).await.unwrap(), None);
        assert_eq!(d.attachment_chunk(&owner, held.id, 0).await.unwrap(), None);
        assert_eq!(db.count("deliveries").await, 0, "nothing of it leaves any more");

        let mut tx = d.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.lock_conversation(target.id).await.unwrap(), None);
        assert_eq!(tx.lock_message(new.id).await.unwrap(), None);
        assert_eq!(tx.hide_conversation(&target).await.unwrap(), Guarded::Stale, "once");
        let title = Conversation { title: "late".to_owned(), version: target.version + 1, ..target.clone() };
        assert_eq!(tx.update_conversation(&target, &title, true).await.unwrap(), Guarded::Stale);
        tx.rollback().await.unwrap();

        assert_eq!(d.unfinished_deletions(at(50), 9).await.unwrap(), []);
        assert_eq!(d.unfinished_deletions(at(51), 9).await.unwrap(), std::slice::from_ref(&target));
        remove(d, &target).await;
        assert_eq!(d.prune_uploads(at(0)).await.unwrap().removed, 1);
        for table in ["conversations", "messages", "attachments", "attachment_chunks"] {
            assert_eq!(db.count(table).await, 0, "{table}");
        }
        assert_eq!(d.unfinished_deletions(at(99), 9).await.unwrap(), []);
    }

    async fn only_hidden_conversations_are_removed(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        for _ in 0..3 {
            append(d, &owner, target.id).await.unwrap();
        }
        let mut tx = d.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.delete_some_messages(&target, 9).await.unwrap(), 0);
        assert_eq!(tx.remove_hidden_conversation(&target).await.unwrap(), Guarded::Stale);
        committed(tx).await;
        assert_eq!(db.count("messages").await, 3);

        hide(d, &owner, &target).await;
        let sink = recording_sink();
        let mut tx = d.begin(&owner, at(0)).await.unwrap();
        assert_eq!(tx.delete_some_messages(&target, 2).await.unwrap(), 2);
        tx.commit(&sink).await.unwrap();
        let deleted = |touch: &Touch| matches!(touch, Touch::MessageDeleted(_, of, user) if *of == target.id && *user == target.user);
        assert_eq!(sink.all()[0].touches().iter().filter(|touch| deleted(touch)).count(), 2);
        assert_eq!(db.count("messages").await, 1);
    }

    /// A report that was running when the conversation was hidden commits after it, with a copy of the message in its
    /// event.
    async fn concurrent_writes_leave_no_copy_in_the_feed(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        let new = append(d, &owner, target.id).await.unwrap();
        let other = open(d, &owner).await;
        append(d, &owner, other.id).await.unwrap();
        let mut report = d.begin(&owner, at(0)).await.unwrap();
        let found = report.lock_message(new.id).await.unwrap().unwrap();
        let changed = Message { version: 2, ..found.clone() };
        if db.kind == crate::support::Kind::Postgres {
            let done = update_message(&mut report, &found, &changed, EventType::MessageStatusChanged, "ada").await.unwrap();
            assert_eq!(done, Guarded::Updated);
            hide(d, &owner, &target).await;
            committed(report).await;
        } else {
            // One writer: the report comes before or after.
            report.rollback().await.unwrap();
            hide(d, &owner, &target).await;
        }
        remove(d, &target).await;
        let id = db.id(target.id);
        let copies = db.count(&format!("feed WHERE payload IS NOT NULL AND conversation_id = {id}")).await;
        assert_eq!(copies, 0);
        assert_eq!(db.count("feed WHERE payload IS NOT NULL").await, 2, "others keep theirs");
    }
}
