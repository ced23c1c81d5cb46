//! Another owner's id finds and changes nothing, in any call.

use std::collections::BTreeMap;
use std::sync::Arc;

use parlance_domain::{Conversation, EventType, Message, Sender};
use parlance_storage::Guarded;
use parlance_storage::db::conversation::ConversationFilter;
use parlance_storage::db::delivery::Claim;
use parlance_storage::db::idempotency::IdempotencyKey;
use parlance_storage::db::message::MessageRange;
use uuid::Uuid;

use crate::support::write::{queued, update_message};
use crate::support::{
    Db, Kind, append, at, attachment, committed, conversation, message, open, owner,
    recording_sink, sender,
};

const TABLES: [&str; 10] = [
    "senders",
    "conversations",
    "messages",
    "deliveries",
    "attachments",
    "attachment_chunks",
    "deleted_messages",
    "idempotency_keys",
    "feed",
    "feed_state",
];

/// Every row of every table.
async fn everything(db: &Db) -> BTreeMap<&'static str, Vec<String>> {
    let mut all = BTreeMap::new();
    for table in TABLES {
        let sql = match db.kind {
            Kind::Postgres => format!("SELECT t::text AS v FROM {table} t ORDER BY 1"),
            Kind::Sqlite => {
                let columns = format!(
                    "SELECT 'quote(' || name || ')' AS v FROM pragma_table_info('{table}')"
                );
                let columns = db.texts(&columns).await.join(" || ',' || ");
                format!("SELECT {columns} AS v FROM {table} ORDER BY 1")
            }
        };
        all.insert(table, db.texts(&sql).await);
    }
    all
}

/// Leaves the tombstone of an inbound message.
async fn received_and_deleted(db: &Db, provider_id: &str) {
    let now = match db.kind {
        Kind::Postgres => "now()",
        Kind::Sqlite => "1700000000000000",
    };
    db.run(&format!(
        "INSERT INTO deleted_messages (owner, provider, provider_message_id, deleted_at) VALUES ('acme', 'p', '{provider_id}', {now})"
    ))
    .await;
}

on_both! {
    #[expect(clippy::too_many_lines, reason = "one call of every function")]
    async fn another_owner_finds_and_changes_nothing(db: Db) {
        let (ours, theirs) = (owner("acme"), owner("other"));
        let named = Conversation { external_id: Some("ticket".to_owned()), ..conversation(&ours) };
        let mut tx = db.open.begin(&ours, at(0)).await.unwrap();
        assert!(tx.insert_conversation(&named).await.unwrap());
        let from = sender(&ours);
        assert!(tx.insert_sender(&from).await.unwrap());
        let mut target = named.clone();
        target.last_sequence = 1;
        let new = Message {
            provider: Some("p".to_owned()), provider_message_id: Some("1".to_owned()), counts_unread: true,
            direction: parlance_domain::Direction::Inbound, ..message(&target)
        };
        tx.insert_message(&new, &target).await.unwrap();
        queued(&mut tx, &new, &from).await;
        let held = attachment();
        tx.insert_attachment(&held, new.id, vec![b"abc".to_vec()]).await.unwrap();
        let key = IdempotencyKey { rpc: "SendMessage", key: "k".to_owned(), request_hash: [1; 32] };
        assert!(tx.take_key(&key, Uuid::nil()).await.unwrap());
        committed(tx).await;
        let (unfinished, finished) = (attachment(), attachment());
        for upload in [&unfinished, &finished] {
            db.open.begin_upload(&ours, upload, at(0), at(1_000)).await.unwrap();
        }
        assert_eq!(db.open.complete_upload(&ours, finished.id, 0).await.unwrap(), Guarded::Updated);
        let hidden = open(&db.open, &ours).await;
        append(&db.open, &ours, hidden.id).await.unwrap();
        let mut tx = db.open.begin(&ours, at(0)).await.unwrap();
        assert_eq!(tx.hide_conversation(&hidden).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        received_and_deleted(&db, "2").await;
        let before = everything(&db).await;
        assert!(before.values().all(|rows| !rows.is_empty()), "every table has something to lose");

        // Reads.
        let d = &db.open;
        let any = ConversationFilter::default();
        let all = MessageRange { above: 0, below: None, oldest_first: true };
        assert_eq!(d.conversation(&theirs, named.id).await.unwrap(), None);
        assert_eq!(d.conversation_by_external_id(&theirs, "ticket").await.unwrap(), None);
        assert_eq!(d.conversations(&theirs, &any, None, 10).await.unwrap(), []);
        assert_eq!(d.count_conversations(&theirs, &any).await.unwrap(), 0);
        assert_eq!(d.message(&theirs, new.id).await.unwrap(), None);
        assert_eq!(d.message_by_provider_id(&theirs, "p", "1").await.unwrap(), None);
        assert_eq!(d.messages(&theirs, &[new.id]).await.unwrap(), []);
        assert_eq!(d.message_page(&theirs, named.id, all, 10).await.unwrap(), []);
        assert_eq!(d.sender(&theirs, from.id).await.unwrap(), None);
        assert_eq!(d.senders(&theirs, None, None, 10).await.unwrap(), []);
        assert_eq!(d.attachment(&theirs, new.id, held.id).await.unwrap(), None);
        assert_eq!(d.attachment_chunk(&theirs, held.id, 0).await.unwrap(), None);

        // Uploads.
        assert_eq!(d.append_upload(&theirs, unfinished.id, 0, vec![0]).await.unwrap(), Guarded::Stale);
        assert_eq!(d.complete_upload(&theirs, unfinished.id, 1).await.unwrap(), Guarded::Stale);
        d.discard_upload(&theirs, unfinished.id).await.unwrap();

        // Reads and locks in a transaction.
        let mut tx = d.begin(&theirs, at(1)).await.unwrap();
        let pair = (named.channel, named.participant_from.as_str(), named.participant_to.as_str());
        assert_eq!(tx.conversation(named.id).await.unwrap(), None);
        assert_eq!(tx.lock_conversation(named.id).await.unwrap(), None);
        assert_eq!(tx.conversation_of_pair(pair.0, pair.1, pair.2).await.unwrap(), None);
        assert_eq!(tx.lock_conversation_of_pair(pair.0, pair.1, pair.2).await.unwrap(), None);
        assert_eq!(tx.conversation_by_external_id("ticket").await.unwrap(), None);
        assert_eq!(tx.lock_conversation_by_external_id("ticket").await.unwrap(), None);
        assert_eq!(tx.message(new.id).await.unwrap(), None);
        assert_eq!(tx.lock_message(new.id).await.unwrap(), None);
        assert_eq!(tx.message_by_provider_id("p", "1").await.unwrap(), None);
        assert_eq!(tx.unread_above(named.id, 0).await.unwrap(), 0);
        assert_eq!(tx.last_inbound(named.id).await.unwrap(), None);
        assert_eq!(tx.newest_message_time(named.id).await.unwrap(), None);
        assert_eq!(tx.lock_sender(from.id).await.unwrap(), None);
        assert!(!tx.messages_wait_for_sender(from.id).await.unwrap());
        assert_eq!(tx.upload(finished.id).await.unwrap(), None);
        assert_eq!(tx.idempotency_record(&key).await.unwrap(), None);
        assert!(!tx.was_deleted("p", "2").await.unwrap());

        // Writes: with the row as it is, and with its owner swapped.
        for of in [&ours, &theirs] {
            let title = Conversation { owner: of.clone(), title: "theirs".to_owned(), version: 2, ..named.clone() };
            assert_eq!(tx.update_conversation(&named, &title, true).await.unwrap(), Guarded::Stale);
            let body = Message { owner: of.clone(), body: "theirs".to_owned(), version: 2, ..new.clone() };
            assert_eq!(update_message(&mut tx, &new, &body, EventType::MessageUpdated, "").await.unwrap(), Guarded::Stale);
            let provider = Sender { owner: of.clone(), provider: "theirs".to_owned(), version: 2, ..from.clone() };
            assert_eq!(tx.update_sender(&from, &provider).await.unwrap(), Guarded::Stale);
        }
        assert_eq!(tx.hide_conversation(&named).await.unwrap(), Guarded::Stale);
        assert_eq!(tx.remove_hidden_conversation(&hidden).await.unwrap(), Guarded::Stale);
        assert_eq!(tx.delete_message(&new, "").await.unwrap(), Guarded::Stale);
        assert_eq!(tx.delete_some_messages(&hidden, 10).await.unwrap(), 0);
        assert_eq!(tx.delete_sender(from.id).await.unwrap(), Guarded::Stale);
        assert_eq!(tx.claim_upload(finished.id, new.id).await.unwrap(), Guarded::Stale);
        assert_eq!(tx.reschedule_delivery(new.id, at(1_000)).await.unwrap(), Guarded::Stale);
        let locked = tx.try_lock_messages(&[(new.conversation_id, new.id)]).await;
        assert!(locked.unwrap().is_empty());
        let finished = tx.finish_deliveries(&[(new.id, 0)]).await;
        assert!(finished.unwrap().is_empty());
        assert_eq!(tx.give_delivery_back(new.id, 0, at(1_000)).await.unwrap(), Guarded::Stale);
        let foreign = Claim {
            owner: theirs.clone(),
            message_id: new.id,
            sender: Arc::new(from.clone()),
            attempt: 0,
            answer_lost: false,
            due_at: at(1),
            lease_until: at(1_000),
        };
        assert_eq!(tx.undo_claim(&foreign).await.unwrap(), Guarded::Stale);
        assert_eq!(tx.withdraw_delivery(&new).await.unwrap(), Guarded::Stale);
        assert_eq!(tx.delete_delivery(&new).await.unwrap(), None);
        tx.commit(&recording_sink()).await.unwrap();
        assert_eq!(everything(&db).await, before);

        // The other owner's own key of the same name is free.
        let mut tx = d.begin(&theirs, at(1)).await.unwrap();
        assert!(tx.take_key(&key, Uuid::nil()).await.unwrap());
        // An address is unique in the installation: the one exception, by which the caller learns its owner.
        let found = tx.sender_of_address(from.channel, &from.address).await.unwrap();
        assert_eq!(found.map(|sender| sender.owner), Some(ours));
        committed(tx).await;
    }
}
