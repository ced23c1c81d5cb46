//! Postgres: no reader of the feed skips a late commit, and the events of one conversation are in the order of its
//! sequence.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parlance_domain::{ConversationId, MessageId};
use parlance_storage::feed::{FeedEvent, FeedPage, Position};
use parlance_testkit::eventually;
use tokio_postgres::Client;

use crate::feed::all;
use crate::support::write::append_uncommitted;
use crate::support::{Db, SOON, append, at, committed, conversation, open, owner, recording_sink};

fn messages(events: &[FeedEvent]) -> Vec<MessageId> {
    events.iter().filter_map(|e| e.event.message_id).collect()
}

/// Reads the page until no transaction of another test on the same server delays it.
async fn settled(db: &Db, from: Position, wanted: impl Fn(&FeedPage) -> bool) -> FeedPage {
    eventually(SOON, async || {
        let page = db.open.feed_page(from, 100).await.unwrap();
        wanted(&page).then_some(page)
    })
    .await
}

/// Without the horizon a reader would show what is committed, store its position, and never see a transaction that had
/// written before and commits later: its events are before that position.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_commit_is_not_skipped() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let (one, other) = (open(&db.open, &owner).await, open(&db.open, &owner).await);
    let start = settled(&db, Position::default(), |page| page.events.len() == 2).await;
    let position = start.events[1].position;

    let mut late = db.open.begin(&owner, at(1)).await.unwrap();
    let held = append_uncommitted(&mut late, one.id).await.unwrap();
    let mut early = Vec::new();
    for _ in 0..3 {
        early.push(append(&db.open, &owner, other.id).await.unwrap().id);
    }
    let page = db.open.feed_page(position, 100).await.unwrap();
    assert_eq!(page.events, []);
    assert_eq!(
        page.blocked_since,
        Some(at(1)),
        "it is known that something waits"
    );
    assert!(!page.more, "and that asking at once does not help");

    let now = db.open.feed_now().await.unwrap();
    let seen = now.seen.unwrap();
    committed(late).await;
    let page = settled(&db, position, |page| page.blocked_since.is_none()).await;
    let expected: Vec<_> = [held.id].into_iter().chain(early.iter().copied()).collect();
    assert_eq!(
        messages(&page.events),
        expected,
        "by transaction, not by commit"
    );
    assert!(page.events.is_sorted_by(|a, b| a.position < b.position));

    // A reader that starts in between: what was committed is old, what was not is new.
    let page = settled(&db, now.position, |page| page.blocked_since.is_none()).await;
    let news: Vec<_> = page
        .events
        .into_iter()
        .filter(|e| !seen.contains(e.position.xid))
        .collect();
    assert_eq!(messages(&news), [held.id]);
}

async fn waiting(watch: &Client, table: &str) -> Option<bool> {
    let sql = format!(
        "SELECT backend_xid IS NOT NULL FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock' AND query LIKE '%{table}%'"
    );
    let rows = watch.query(&sql, &[]).await.unwrap();
    rows.first().map(|row| row.get(0))
}

/// The order within a conversation relies on this: a statement that waits for the row lock has no transaction id yet,
/// so its events come after those of the holder. An UPDATE that waits has one already.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_lock_takes_its_transaction_id_after_the_wait() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await;
    let watch = db.client().await;
    let other = db.client().await;
    let update = format!(
        "UPDATE conversations SET title = title WHERE id = '{}'",
        target.id
    );
    for (with_lock, has_xid) in [(true, false), (false, true)] {
        let mut holder = db.open.begin(&owner, at(0)).await.unwrap();
        append_uncommitted(&mut holder, target.id).await.unwrap();
        let locking = async {
            if with_lock {
                let mut tx = db.open.begin(&owner, at(0)).await.unwrap();
                tx.lock_conversation(target.id).await.unwrap().unwrap();
                tx.rollback().await.unwrap();
            } else {
                other.batch_execute(&update).await.unwrap();
            }
        };
        let looking = async {
            let looked = async || {
                waiting(&watch, "conversations")
                    .await
                    .filter(|found| *found == has_xid)
            };
            let found = eventually(SOON, looked).await;
            assert_eq!(found, has_xid, "lock first: {with_lock}");
            holder.rollback().await.unwrap();
        };
        tokio::join!(locking, looking);
    }
}

/// A small generator, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

const WRITERS: u64 = 16;
const EACH: u64 = 20;

/// A writer: commits some transactions, rolls some back, and pauses in the middle so that transactions overlap in every
/// way.
async fn write(db: Db2, seed: u64) -> Vec<MessageId> {
    let mut dice = Dice(seed * 7_919 + 1);
    let mut written = Vec::new();
    for _ in 0..EACH {
        let mut tx = db.open.begin(&db.owner, at(0)).await.unwrap();
        let target = db.targets[usize::try_from(dice.roll(3)).unwrap()];
        let new = append_uncommitted(&mut tx, target).await.unwrap();
        for _ in 0..dice.roll(4) {
            tokio::time::sleep(Duration::from_millis(dice.roll(3))).await;
        }
        if dice.roll(6) == 0 {
            // An unrelated write, so that some transactions take an id and never appear in the feed.
            tx.insert_conversation(&conversation(&db.owner))
                .await
                .unwrap();
        }
        match dice.roll(5) {
            0 => tx.rollback().await.unwrap(),
            1 => drop(tx),
            _ => {
                tx.commit(&recording_sink()).await.unwrap();
                written.push(new.id);
            }
        }
    }
    written
}

#[derive(Clone)]
struct Db2 {
    open: parlance_storage::Database,
    owner: parlance_domain::Owner,
    targets: [ConversationId; 3],
}

/// Follows the feed until all is written, and then to its end.
async fn follow(
    db: parlance_storage::Database,
    done: Arc<AtomicBool>,
    limit: i64,
) -> Vec<FeedEvent> {
    let mut position = Position::default();
    let mut seen = Vec::new();
    loop {
        let last_round = done.load(Ordering::SeqCst);
        let page = db.feed_page(position, limit).await.unwrap();
        if let Some(last) = page.events.last() {
            position = last.position;
        }
        let ended = page.events.is_empty() && page.blocked_since.is_none();
        seen.extend(page.events);
        if last_round && ended {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_any_interleaving_a_reader_sees_each_event_once_and_in_order() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let mut targets = Vec::new();
    for _ in 0..3 {
        targets.push(open(&db.open, &owner).await.id);
    }
    let open = db.opened(|settings| settings.pool_size = 24).await;
    let shared = Db2 {
        open,
        owner,
        targets: targets.clone().try_into().unwrap(),
    };
    let done = Arc::new(AtomicBool::new(false));
    let readers =
        [1, 3, 100].map(|limit| tokio::spawn(follow(db.open.clone(), Arc::clone(&done), limit)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|seed| tokio::spawn(write(shared.clone(), seed)))
        .collect();
    let mut written = HashSet::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    done.store(true, Ordering::SeqCst);
    let truth = all(&db.open).await;
    for reader in readers {
        let seen = reader.await.unwrap();
        assert_eq!(seen, truth, "each once, in the order of all readers");
        let ids = messages(&seen);
        assert_eq!(ids.len(), written.len());
        assert_eq!(ids.into_iter().collect::<HashSet<_>>(), written);
        let mut sequences: HashMap<ConversationId, Vec<i64>> = HashMap::new();
        for event in seen {
            if let parlance_domain::EventSubject::Message(message) = event.event.subject {
                sequences
                    .entry(message.conversation_id)
                    .or_default()
                    .push(message.sequence);
            }
        }
        for target in &targets {
            let found = sequences.remove(target).unwrap_or_default();
            let count = i64::try_from(found.len()).unwrap();
            assert_eq!(found, (1..=count).collect::<Vec<_>>());
        }
    }
}
