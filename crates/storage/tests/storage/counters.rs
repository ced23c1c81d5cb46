//! Counters equal a count of the rows, under concurrent writes and folds.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parlance_domain::{
    Channel, Conversation, ConversationId, ConversationStatus, Direction, EventType, Message,
    MessageId, MessageStatus, Owner,
};
use parlance_storage::db::stats::{Counter, CounterKind};
use parlance_storage::{Database, Guarded, StorageResult};

use crate::support::write::{append_uncommitted, update_message};
use crate::support::{
    Db, append, at, committed, conversation, message, open, owner, recording_sink,
};

/// The expected counters, one line for each number that is not 0, counted from the rows.
async fn counted(db: &Db, owner: &Owner, user: Option<&str>) -> BTreeSet<String> {
    let of_user = user.map_or_else(String::new, |user| format!("AND c.user_label = '{user}'"));
    let sql = format!(
        "SELECT 'conversation ' || c.channel || ' ' || c.status || ' ' || count(*) || ' ' || \
           sum(CASE WHEN c.unread_count > 0 THEN 1 ELSE 0 END) || ' ' || sum(c.unread_count) || ' 0' AS v \
         FROM conversations c WHERE c.owner = '{owner}' AND c.deleted_at IS NULL {of_user} GROUP BY c.channel, c.status \
         UNION ALL \
         SELECT m.direction || ' ' || m.channel || ' ' || m.status || ' ' || count(*) || ' 0 0 ' || \
           coalesce(sum(m.tokens_used), 0) \
         FROM messages m JOIN conversations c ON c.id = m.conversation_id \
         WHERE m.owner = '{owner}' AND c.deleted_at IS NULL {of_user} GROUP BY m.direction, m.channel, m.status"
    );
    db.texts(&sql).await.into_iter().collect()
}

fn line(counter: &Counter) -> String {
    let Counter {
        kind,
        items,
        unread_items,
        unread,
        tokens,
    } = counter;
    let name = match kind {
        CounterKind::Conversations { channel, status } => {
            format!("conversation {channel} {status}")
        }
        CounterKind::Messages {
            channel,
            direction,
            status,
        } => format!("{direction} {channel} {status}"),
    };
    format!("{name} {items} {unread_items} {unread} {tokens}").to_lowercase()
}

async fn stored(db: &Database, owner: &Owner, user: Option<&str>) -> BTreeSet<String> {
    let counters = db.counters(owner, user).await.unwrap();
    counters.iter().map(line).collect()
}

/// Compares the counters of the owner and of each user: before folding, and after.
async fn check(db: &Db, owner: &Owner, users: &[&str]) {
    for folded in [false, true] {
        if folded {
            while db.open.fold_counters(100).await.unwrap() > 0 {}
            assert_eq!(db.count("stat_deltas").await, 0);
        }
        for user in users.iter().map(|user| Some(*user)).chain([None]) {
            assert_eq!(
                stored(&db.open, owner, user).await,
                counted(db, owner, user).await,
                "{user:?}, folded: {folded}"
            );
        }
    }
}

async fn set_status(
    db: &Database,
    owner: &Owner,
    id: MessageId,
    status: MessageStatus,
) -> StorageResult<()> {
    let mut tx = db.begin(owner, at(2)).await?;
    if let Some(found) = tx.lock_message(id).await? {
        let mut changed = Message {
            version: found.version + 1,
            ..found.clone()
        };
        changed.progress.status = status;
        let kind = EventType::MessageStatusChanged;
        let done = update_message(&mut tx, &found, &changed, kind, "").await?;
        assert_eq!(done, Guarded::Updated, "the row was locked");
    }
    tx.commit(&recording_sink()).await
}

async fn edit(
    db: &Database,
    owner: &Owner,
    id: ConversationId,
    change: impl FnOnce(&mut Conversation),
) -> StorageResult<()> {
    let mut tx = db.begin(owner, at(2)).await?;
    if let Some(found) = tx.lock_conversation(id).await? {
        let mut changed = Conversation {
            version: found.version + 1,
            ..found.clone()
        };
        change(&mut changed);
        let done = tx.update_conversation(&found, &changed, true).await?;
        assert_eq!(done, Guarded::Updated, "the row was locked");
    }
    tx.commit(&recording_sink()).await
}

async fn hide(db: &Database, owner: &Owner, id: ConversationId) -> StorageResult<()> {
    let mut tx = db.begin(owner, at(3)).await?;
    if let Some(found) = tx.lock_conversation(id).await? {
        assert_eq!(tx.hide_conversation(&found).await?, Guarded::Updated);
    }
    tx.commit(&recording_sink()).await
}

async fn remove(db: &Database, owner: &Owner, id: MessageId) -> StorageResult<()> {
    let mut tx = db.begin(owner, at(3)).await?;
    if let Some(found) = tx.lock_message(id).await? {
        let _ = tx.delete_message(&found, "").await?;
    }
    tx.commit(&recording_sink()).await
}

/// Receives a message with fields unlike any other, including all that is counted.
async fn receive(
    db: &Database,
    owner: &Owner,
    id: ConversationId,
    n: u64,
) -> StorageResult<Option<Message>> {
    let mut tx = db.begin(owner, at(1)).await?;
    let Some(found) = tx.lock_conversation(id).await? else {
        tx.rollback().await?;
        return Ok(None);
    };
    let inbound = n.is_multiple_of(2);
    let mut moved = Conversation {
        last_sequence: found.last_sequence + 1,
        message_count: found.message_count + 1,
        unread_count: found.unread_count + i64::from(inbound),
        version: found.version + 1,
        ..found.clone()
    };
    if n.is_multiple_of(7) {
        moved.status = ConversationStatus::Active;
    }
    let done = tx.update_conversation(&found, &moved, false).await?;
    assert_eq!(done, Guarded::Updated, "the row was locked");
    let mut new = Message {
        direction: if inbound {
            Direction::Inbound
        } else {
            Direction::Outbound
        },
        channel: if n.is_multiple_of(5) {
            Channel::Mms
        } else {
            Channel::Sms
        },
        tokens_used: (!n.is_multiple_of(3)).then_some(i64::try_from(n % 1000).unwrap()),
        ..message(&moved)
    };
    if inbound {
        new.progress.status = MessageStatus::Received;
    }
    tx.insert_message(&new, &moved).await?;
    tx.commit(&recording_sink()).await?;
    Ok(Some(new))
}

/// Small generator with a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let sides = u64::try_from(of.len()).unwrap();
        of[usize::try_from(self.roll(sides)).unwrap()]
    }
}

const USERS: [&str; 4] = ["", "ada", "bob", "eve"];

/// The writes of a service, at random.
async fn work(db: Database, owner: Owner, seed: u64, steps: u64) {
    let mut dice = Dice(seed);
    let mut targets = Vec::new();
    let mut messages = Vec::new();
    for n in 0..steps {
        if targets.is_empty() || dice.roll(12) == 0 {
            let mut new = conversation(&owner);
            new.user = dice.pick(&USERS).to_owned();
            let mut tx = db.begin(&owner, at(0)).await.unwrap();
            assert!(tx.insert_conversation(&new).await.unwrap());
            if dice.roll(5) == 0 {
                tx.rollback().await.unwrap();
            } else {
                tx.commit(&recording_sink()).await.unwrap();
                targets.push(new.id);
            }
            continue;
        }
        let target = dice.pick(&targets);
        let message = (!messages.is_empty()).then(|| dice.pick(&messages));
        let done = match (dice.roll(20), message) {
            (0, _) => hide(&db, &owner, target).await,
            (1 | 2, _) => {
                let user = dice.pick(&USERS);
                edit(&db, &owner, target, |c| user.clone_into(&mut c.user)).await
            }
            (3, _) => {
                let status = dice.pick(ConversationStatus::ALL);
                edit(&db, &owner, target, |c| c.status = status).await
            }
            (4, _) => edit(&db, &owner, target, |c| c.unread_count = 0).await,
            (5, Some(message)) => remove(&db, &owner, message).await,
            (6..=11, Some(message)) => {
                let status = dice.pick(MessageStatus::ALL);
                set_status(&db, &owner, message, status).await
            }
            (12, _) => {
                let mut tx = db.begin(&owner, at(1)).await.unwrap();
                if tx.conversation(target).await.unwrap().is_some() {
                    let id = tx.lock_conversation(target).await.unwrap().map(|c| c.id);
                    if let Some(id) = id {
                        append_uncommitted(&mut tx, id).await.unwrap();
                    }
                }
                tx.rollback().await
            }
            _ => receive(&db, &owner, target, n).await.map(|new| {
                messages.extend(new.map(|new| new.id));
            }),
        };
        done.unwrap();
    }
}

on_both! {
    /// One write of each kind, checked after each.
    async fn every_write_counts(db: Db) {
        let owner = owner("acme");
        let first = open(&db.open, &owner).await;
        check(&db, &owner, &["ada", "bob"]).await;
        let mut last = None;
        for n in 0..12 {
            last = receive(&db.open, &owner, first.id, n).await.unwrap();
            check(&db, &owner, &["ada"]).await;
        }
        let last = last.unwrap();
        for &status in MessageStatus::ALL {
            set_status(&db.open, &owner, last.id, status).await.unwrap();
            check(&db, &owner, &["ada"]).await;
        }
        edit(&db.open, &owner, first.id, |c| "bob".clone_into(&mut c.user)).await.unwrap();
        check(&db, &owner, &["ada", "bob"]).await;
        assert_eq!(db.open.counters(&owner, Some("ada")).await.unwrap(), [], "all of it is bob's");
        for &status in ConversationStatus::ALL {
            edit(&db.open, &owner, first.id, |c| c.status = status).await.unwrap();
            check(&db, &owner, &["bob"]).await;
        }
        remove(&db.open, &owner, last.id).await.unwrap();
        check(&db, &owner, &["bob"]).await;
        hide(&db.open, &owner, first.id).await.unwrap();
        assert_eq!(db.open.counters(&owner, None).await.unwrap(), [], "hidden is gone");
        let mut tx = db.open.begin(&owner, at(4)).await.unwrap();
        while tx.delete_some_messages(&first, 5).await.unwrap() > 0 {}
        assert_eq!(tx.remove_hidden_conversation(&first).await.unwrap(), Guarded::Updated);
        committed(tx).await;
        assert_eq!(db.open.counters(&owner, None).await.unwrap(), []);
    }

    /// Neither rolled back nor refused writes are counted.
    async fn unwritten_changes_are_not_counted(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await;
        let first = append(&db.open, &owner, target.id).await.unwrap();
        let rows = db.count("stat_deltas").await;
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        let pair = Conversation { participant_to: target.participant_to.clone(), ..conversation(&owner) };
        assert!(!tx.insert_conversation(&pair).await.unwrap(), "the pair is taken");
        let mut late = Message { version: 9, ..first.clone() };
        late.progress.status = MessageStatus::Sent;
        let stale = Message { version: 7, ..first.clone() };
        let kind = EventType::MessageStatusChanged;
        assert_eq!(update_message(&mut tx, &stale, &late, kind, "").await.unwrap(), Guarded::Stale);
        assert_eq!(tx.delete_message(&stale, "").await.unwrap(), Guarded::Stale);
        let stale = Conversation { version: 7, ..target.clone() };
        let archived = Conversation { status: ConversationStatus::Archived, user: "bob".to_owned(), ..target.clone() };
        assert_eq!(tx.update_conversation(&stale, &archived, true).await.unwrap(), Guarded::Stale);
        committed(tx).await;
        assert_eq!(db.count("stat_deltas").await, rows);
        let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
        append_uncommitted(&mut tx, target.id).await.unwrap();
        tx.rollback().await.unwrap();
        assert_eq!(db.count("stat_deltas").await, rows);
        check(&db, &owner, &["ada"]).await;
    }

    /// Writers, three folding tasks and one reader concurrently; in the end the counters equal the rows.
    async fn folding_among_writers_counts_each_change_once(db: Db) {
        let owner = owner("acme");
        let over = Arc::new(AtomicBool::new(false));
        let folders: Vec<_> = (0..3).map(|n| {
            let (db, over) = (db.open.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut folded = 0;
                while !over.load(Ordering::Relaxed) {
                    folded += db.fold_counters(7 + n).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                folded
            })
        }).collect();
        let writers: Vec<_> = (0..6)
            .map(|seed| tokio::spawn(work(db.open.clone(), owner.clone(), seed, 150)))
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        over.store(true, Ordering::Relaxed);
        let mut folded = 0;
        for folder in folders {
            folded += folder.await.unwrap();
        }
        assert!(folded > 100, "they folded while others wrote: {folded}");
        check(&db, &owner, &USERS[1..]).await;
    }

    /// A reader between two folds, and during one, sees the same.
    async fn a_reader_sees_each_change_once(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await.id;
        for _ in 0..300 {
            append(&db.open, &owner, target).await.unwrap();
        }
        let expected = counted(&db, &owner, None).await;
        let look = async || {
            assert_eq!(stored(&db.open, &owner, None).await, expected);
            assert_eq!(stored(&db.open, &owner, Some("ada")).await, expected);
        };
        let mut folds = 0;
        while tokio::join!(db.open.fold_counters(3), look()).0.unwrap() > 0 {
            look().await;
            folds += 1;
        }
        assert!(folds > 10, "{folds}");
        look().await;
        assert_eq!(db.count("stat_deltas").await, 0);
    }
}

/// A write that waited for the conversation lock behind a change of the user, or behind a deletion, counts for the user
/// that the conversation has then. If the statement did not read the conversation, the status would move under the old
/// user, or under no user.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_waited_for_the_lock_counts_for_the_current_user() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    for hides in [false, true] {
        let target = open(&db.open, &owner).await;
        let sent = append(&db.open, &owner, target.id).await.unwrap();
        let found = db
            .open
            .conversation(&owner, target.id)
            .await
            .unwrap()
            .unwrap();
        let mut tx = db.open.begin(&owner, at(2)).await.unwrap();
        assert!(tx.lock_conversation(target.id).await.unwrap().is_some());
        let late = {
            let (db, owner) = (db.open.clone(), owner.clone());
            tokio::spawn(async move { set_status(&db, &owner, sent.id, MessageStatus::Sent).await })
        };
        parlance_testkit::eventually(crate::support::SOON, async || {
            let waiting = "pg_locks WHERE NOT granted AND locktype = 'advisory' AND database = \
                (SELECT oid FROM pg_database WHERE datname = current_database())";
            (db.count(waiting).await > 0).then_some(())
        })
        .await;
        let done = if hides {
            tx.hide_conversation(&found).await
        } else {
            let changed = Conversation {
                user: "bob".to_owned(),
                version: found.version + 1,
                ..found.clone()
            };
            tx.update_conversation(&found, &changed, true).await
        };
        assert_eq!(done.unwrap(), Guarded::Updated);
        committed(tx).await;
        late.await.unwrap().unwrap();
        check(&db, &owner, &["ada", "bob"]).await;
    }
}
