//! Large conversations: the work of a write is bounded in each statement, however many messages and events there are.

use parlance_domain::{Attachment, Conversation, Message};
use parlance_storage::Guarded;
use parlance_storage::feed::Position;
use parlance_testkit::{Postgres, eventually};

use crate::plans::{Ran, explaining, fill, first_conversation, last, logged};
use crate::support::write::append_uncommitted;
use crate::support::{Db, Kind, SOON, append, at, attachment, committed, open, owner};

/// Adds events of other messages of a conversation.
async fn add_events(db: &Db, of: &Conversation, count: i64) {
    let (id, time, numbers) = match db.kind {
        Kind::Postgres => (
            "lpad(to_hex(n), 32, '0')::uuid",
            "now()",
            format!("SELECT n FROM generate_series(1, {count}) n"),
        ),
        Kind::Sqlite => (
            "CAST(printf('%016d', n) AS blob)",
            "0",
            format!(
                "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) SELECT n FROM s"
            ),
        ),
    };
    db.run(&format!(
        "INSERT INTO feed (owner, kind, conversation_id, message_id, user_label, payload, bytes, time) \
         SELECT 'acme', 'message_updated', {of}, {id}, '', '{{}}', 2, {time} FROM ({numbers}) s",
        of = db.id(of.id),
    ))
    .await;
}

async fn delete(db: &Db, message: &Message) {
    let mut tx = db.open.begin(&message.owner, at(9)).await.unwrap();
    let done = tx.delete_message(message, "ada").await.unwrap();
    assert_eq!(done, Guarded::Updated);
    committed(tx).await;
}

/// Deleting a message reads its own events, by their index, and none of the 20,000 others of its conversation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_reads_only_the_events_of_its_message() {
    let server = explaining(&[("auto_explain.log_analyze", "on")]);
    let db = Db::within(&server).await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await;
    let message = append(&db.open, &owner, target.id).await.unwrap();
    add_events(&db, &target, 20_000).await;
    db.run("ANALYZE").await;
    delete(&db, &message).await;
    let run = last(&server, "UPDATE feed SET payload = NULL").await;
    assert!(
        run.plan
            .contains("Index Scan using feed_of_message on feed")
            && run.plan.contains("Index Cond: (message_id = ANY ("),
        "{}\n{}",
        run.sql,
        run.plan
    );
    assert!(!run.plan.contains("Rows Removed"), "{}", run.plan);
}

/// Scrubbing a conversation reads its own events, by their index, and none of the 20,000 of its messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrubbing_a_conversation_reads_only_its_own_events() {
    let server = explaining(&[("auto_explain.log_analyze", "on")]);
    let db = Db::within(&server).await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await;
    add_events(&db, &target, 20_000).await;
    db.run("ANALYZE").await;
    let mut tx = db.open.begin(&owner, at(9)).await.unwrap();
    let hidden = tx.hide_conversation(&target).await.unwrap();
    assert_eq!(hidden, Guarded::Updated);
    let more = tx.scrub_hidden_conversation(&target).await.unwrap();
    assert!(!more, "few events are of the conversation itself");
    committed(tx).await;
    let run = last(&server, "UPDATE feed SET payload = NULL").await;
    assert!(
        run.plan
            .contains("Index Scan using feed_of_conversation on feed")
            && run.plan.contains("Index Cond: (conversation_id = "),
        "{}\n{}",
        run.sql,
        run.plan
    );
    assert!(!run.plan.contains("Rows Removed"), "{}", run.plan);
}

/// The numbers of rows that statements of the log have read, once they add up to `together`.
async fn rows_of_each(server: &Postgres, wanted: &str, together: u64) -> Vec<u64> {
    eventually(SOON, async || {
        let rows: Vec<u64> = logged(server, wanted)
            .iter()
            .map(Ran::limited_rows)
            .collect();
        (rows.iter().sum::<u64>() >= together).then_some(rows)
    })
    .await
}

/// What one statement clears or counts has a limit, however many rows there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_statement_reads_a_bounded_number_of_rows() {
    let server = explaining(&[("auto_explain.log_analyze", "on")]);
    let db = Db::within(&server).await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await;
    let message = append(&db.open, &owner, target.id).await.unwrap();
    add_events(&db, &target, 2_500).await;
    let id = db.id(message.id);
    db.run(&format!(
        "UPDATE feed SET message_id = {id} WHERE kind = 'message_updated'; ANALYZE"
    ))
    .await;
    delete(&db, &message).await;
    // With the event of its creation.
    let cleared = rows_of_each(&server, "UPDATE feed SET payload = NULL WHERE ctid", 2_501).await;
    assert_eq!(cleared, [1_000, 1_000, 501]);

    fill(&db, 12_000).await;
    db.run("UPDATE messages SET counts_unread = true").await;
    let mut tx = db.open.begin(&owner, at(9)).await.unwrap();
    let unread = tx.unread_above(first_conversation(&db), 0).await.unwrap();
    assert_eq!(unread, 12_000);
    tx.rollback().await.unwrap();
    let counted = rows_of_each(&server, "SELECT \"messages\".\"sequence\"", 12_000).await;
    assert_eq!(counted, [5_000, 5_000, 2_000]);
}

on_both! {
    /// Copies are scrubbed a thousand by each statement; all of them are, and no others.
    async fn a_message_with_many_events_can_be_deleted(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let message = append(&db.open, &owner, target.id).await.unwrap();
        add_events(&db, &target, 2_500).await;
        let id = db.id(message.id);
        db.run(&format!("UPDATE feed SET message_id = {id} WHERE kind = 'message_updated'")).await;
        add_events(&db, &target, 10).await;
        delete(&db, &message).await;
        assert_eq!(db.count(&format!("feed WHERE payload IS NOT NULL AND message_id = {id}")).await, 0);
        assert_eq!(db.count("feed WHERE payload IS NOT NULL AND kind = 'message_updated'").await, 10);
    }

    /// The copies of a hidden conversation are scrubbed in batches, each of which can be its own transaction.
    async fn a_hidden_conversation_is_scrubbed_in_batches(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        add_events(&db, &target, 2_500).await;
        db.run("UPDATE feed SET message_id = NULL WHERE kind = 'message_updated'").await;
        let mut tx = d.begin(&owner, at(9)).await.unwrap();
        assert_eq!(tx.hide_conversation(&target).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        for (more, left) in [(true, 1_501), (true, 501), (false, 0)] {
            let mut tx = d.begin(&owner, at(9)).await.unwrap();
            assert_eq!(tx.scrub_hidden_conversation(&target).await.unwrap(), more);
            committed(tx).await;
            assert_eq!(db.count("feed WHERE payload IS NOT NULL").await, left);
        }
    }

    /// One statement moves the counts of 5,000 messages to another user, or removes them.
    async fn counters_of_a_long_conversation_move_in_batches(db: Db) {
        fill(&db, 12_000).await;
        let (owner, id) = (owner("acme"), first_conversation(&db));
        db.run(&format!("UPDATE conversations SET last_sequence = 12000 WHERE id = {}", db.id(id))).await;
        let moved = "SELECT CAST(items AS text) AS v FROM stat_deltas WHERE what = 'outbound' AND user_label = 'user 1' ORDER BY items";
        for hides in [false, true] {
            let mut tx = db.open.begin(&owner, at(9)).await.unwrap();
            let found = tx.lock_conversation(id).await.unwrap().unwrap();
            let done = if hides {
                tx.hide_conversation(&found).await
            } else {
                let to_eve = Conversation { user: "eve".to_owned(), version: found.version + 1, ..found.clone() };
                tx.update_conversation(&found, &to_eve, true).await
            };
            assert_eq!(done.unwrap(), Guarded::Updated);
            // What follows reads the transaction's own rows.
            committed(tx).await;
            assert_eq!(db.texts(moved).await, ["-5000", "-5000", "-2000"]);
            db.run(&format!("UPDATE conversations SET user_label = 'user 1' WHERE id = {}; DELETE FROM stat_deltas", db.id(id))).await;
        }
    }

    /// So many that one statement does not count them all.
    async fn many_unread_messages_are_counted_in_batches(db: Db) {
        fill(&db, 12_000).await;
        let counts = match db.kind { Kind::Postgres => "true", Kind::Sqlite => "1" };
        db.run(&format!("UPDATE messages SET counts_unread = {counts} WHERE sequence <> 7")).await;
        let (owner, id) = (owner("acme"), first_conversation(&db));
        let mut tx = db.open.begin(&owner, at(9)).await.unwrap();
        for (above, unread) in [(0, 11_999), (6, 11_993), (7, 11_993), (11_990, 10), (12_000, 0)] {
            assert_eq!(tx.unread_above(id, above).await.unwrap(), unread, "above {above}");
        }
        tx.rollback().await.unwrap();
    }

    /// Large texts are removed with fewer messages at a time, and attachments are left to the pruning of uploads.
    async fn messages_are_removed_by_bytes_and_without_their_content(db: Db) {
        let (owner, d) = (owner("acme"), &db.open);
        let target = open(d, &owner).await;
        for _ in 0..5 {
            let mut tx = d.begin(&owner, at(0)).await.unwrap();
            let message = append_uncommitted(&mut tx, target.id).await.unwrap();
            let held: Attachment = attachment();
            tx.insert_attachment(&held, message.id, vec![b"abc".to_vec()]).await.unwrap();
            committed(tx).await;
        }
        db.run(&format!("UPDATE messages SET html_body = '{}'", "x".repeat(5 * 1024 * 1024))).await;
        let target = d.conversation(&owner, target.id).await.unwrap().unwrap();
        let mut tx = d.begin(&owner, at(9)).await.unwrap();
        assert_eq!(tx.hide_conversation(&target).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        for removed in [2, 2, 1, 0] {
            let mut tx = d.begin(&owner, at(9)).await.unwrap();
            assert_eq!(tx.delete_some_messages(&target, 500).await.unwrap(), removed);
            committed(tx).await;
        }
        assert_eq!(db.count("attachment_chunks").await, 5, "a statement of its own removes them");
        assert_eq!(d.prune_uploads(at(0)).await.unwrap().removed, 5);
        assert_eq!(db.count("attachment_chunks").await, 0);
    }

    /// A page has one owner's events, up to its limit of bytes, and reports up to where it read.
    async fn a_page_of_the_feed_is_limited_by_bytes(db: Db) {
        let (acme, other) = (owner("acme"), owner("other"));
        let d = &db.open;
        let (target, foreign) = (open(d, &acme).await, open(d, &other).await);
        for _ in 0..4 {
            append(d, &acme, target.id).await.unwrap();
            append(d, &other, foreign.id).await.unwrap();
        }
        let all = crate::feed::all(d).await;
        let size = all.iter().find(|one| one.event.message_id.is_some()).unwrap().bytes;
        assert!(size > 100);
        let mine: Vec<_> = all.iter().filter(|one| one.owner == acme).cloned().collect();
        let mut found = Vec::new();
        let (mut from, mut pages) = (Position::default(), 0);
        loop {
            let page = d.feed_page_of(&acme, from, 100, size).await.unwrap();
            assert!(page.events.len() <= 2, "{} events of {size} bytes", page.events.len());
            found.extend(page.events);
            pages += 1;
            if !page.more {
                assert_eq!(page.up_to, all.last().unwrap().position);
                break;
            }
            from = page.up_to;
        }
        assert_eq!(found, mine);
        assert!(pages > 2);
        // Events of others are scanned some at a time.
        let page = d.feed_page_of(&owner("absent"), Position::default(), 3, size).await.unwrap();
        assert_eq!((page.events.len(), page.more, page.up_to), (0, true, all[2].position));
    }
}
