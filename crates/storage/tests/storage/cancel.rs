//! Callers that stop in the middle: what runs for them is ended, and their connection can be used again.

use std::panic;
use std::pin::pin;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use parlance_domain::Owner;
use parlance_storage::db::message::MessageRange;
use parlance_storage::{Database, StorageError};
use parlance_testkit::eventually;
use tokio_postgres::Client;

use crate::support::{Db, Kind, SOON, append, at, conversation, open, owner};

/// One connection: a test that loses it can do nothing more.
async fn single(db: &Db) -> Database {
    db.opened(|settings| settings.pool_size = 1).await
}

/// Other connections to this database that are in a state.
async fn others(watch: &Client, filter: &str) -> i64 {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND {filter}"
    );
    watch.query_one(&sql, &[]).await.unwrap().get(0)
}

async fn waits_for_a_lock(watch: &Client) {
    eventually(SOON, async || {
        (others(watch, "wait_event_type = 'Lock'").await > 0).then_some(())
    })
    .await;
}

/// Polls the future once and drops it.
fn begin_and_drop<T>(future: impl Future<Output = T>) {
    let mut future = pin!(future);
    let _ = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
}

/// Counts the panics since the first call.
fn panics_of_the_driver() -> &'static AtomicUsize {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    static LISTEN: Once = Once::new();
    LISTEN.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if panic
                .location()
                .is_some_and(|at| at.file().contains("diesel-async"))
            {
                SEEN.fetch_add(1, Ordering::Relaxed);
            }
            before(panic);
        }));
    });
    &SEEN
}

async fn works(db: &Database, owner: &Owner) {
    db.ping().await.unwrap();
    let tx = db.begin(owner, at(0)).await.unwrap();
    tx.rollback().await.unwrap();
}

/// Without the cancel request the statement would keep waiting for its lock, and occupy the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_waits_is_cancelled_on_the_server() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await.id;
    // No limit that would end it anyway.
    let one = db
        .opened(|settings| {
            settings.pool_size = 1;
            settings.statement_timeout = Duration::from_mins(10);
        })
        .await;
    let (watch, holder) = (db.client().await, db.client().await);
    holder
        .batch_execute("BEGIN; LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();

    for in_transaction in [false, true] {
        let waiting = async {
            if in_transaction {
                let mut tx = one.begin(&owner, at(0)).await.unwrap();
                let _ = tx.lock_conversation(target).await;
            } else {
                let _ = one.conversation(&owner, target).await;
            }
            panic!("the lock is not free");
        };
        tokio::select! {
            () = waiting => {}
            () = waits_for_a_lock(&watch) => {}
        }
        // The one connection of the pool can be used while the lock is still held.
        let state = tokio::time::timeout(SOON, works(&one, &owner)).await;
        assert!(state.is_ok(), "in a transaction: {in_transaction}");
        assert_eq!(others(&watch, "wait_event_type = 'Lock'").await, 0);
        assert_eq!(
            others(
                &watch,
                "state LIKE 'idle in transaction%' AND query NOT LIKE 'BEGIN; LOCK%'"
            )
            .await,
            0
        );
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert!(one.conversation(&owner, target).await.unwrap().is_some());
}

on_both! {
    async fn an_open_transaction_that_is_dropped_is_rolled_back(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await.id;
        let one = single(&db).await;
        for _ in 0..3 {
            let mut tx = one.begin(&owner, at(0)).await.unwrap();
            let found = tx.lock_conversation(target).await.unwrap().unwrap();
            assert!(tx.insert_conversation(&conversation(&owner)).await.unwrap());
            drop((tx, found));
        }
        works(&one, &owner).await;
        assert_eq!(db.count("conversations").await, 1);
        append(&one, &owner, target).await.unwrap();
    }

    /// Wherever the caller stops, the one connection can be used by the next.
    async fn dropping_a_call_at_any_point_costs_no_connection(db: Db) {
        let owner = owner("acme");
        let target = open(&db.open, &owner).await.id;
        let one = single(&db).await;
        for round in 0..40 {
            let work = async {
                one.conversation(&owner, target).await?;
                let mut tx = one.begin(&owner, at(0)).await?;
                tx.lock_conversation(target).await?;
                tx.insert_conversation(&conversation(&owner)).await?;
                tx.rollback().await
            };
            // Between nothing and all of it, depending on the machine's load.
            let _: Result<Result<(), StorageError>, _> = tokio::time::timeout(Duration::from_micros(150 * round), work).await;
        }
        works(&one, &owner).await;
        assert_eq!(db.count("conversations").await, 1);
        assert!(one.pool_status().open <= if db.kind == Kind::Sqlite { 2 } else { 1 });
    }

    /// A driver that is used in an unknown state panics in a task, where no test sees it.
    async fn dropping_a_call_between_transactions_causes_no_panic(db: Db) {
        let owner = owner("acme");
        let one = single(&db).await;
        let panics = panics_of_the_driver();
        for _ in 0..3 {
            let tx = one.begin(&owner, at(0)).await.unwrap();
            begin_and_drop(tx.rollback());
            works(&one, &owner).await;
            begin_and_drop(one.begin(&owner, at(0)));
            works(&one, &owner).await;
        }
        assert_eq!(panics.load(Ordering::Relaxed), 0, "in this test, or in a concurrent one");
    }

    /// A statement of SQLite cannot be cancelled: dropping its future waits for it. Otherwise the connection would be
    /// returned before the statement has ended, and a pool that checks it would panic.
    async fn dropping_a_long_read_costs_no_connection(db: Db) {
        let owner = owner("acme");
        crate::plans::fill(&db, 20_000).await;
        let one = single(&db).await;
        let (target, all) = (crate::plans::first_conversation(&db), MessageRange { above: 0, below: None, oldest_first: true });
        let read = || one.message_page(&owner, target, all, 20_000);
        assert_eq!(read().await.unwrap().len(), 20_000);
        begin_and_drop(read());
        for millis in [1, 3, 5] {
            // Unless all of it completes before the machine lets us drop it.
            eventually(SOON, async || {
                let left = tokio::time::timeout(Duration::from_millis(millis), read()).await;
                left.is_err().then_some(())
            })
            .await;
        }
        works(&one, &owner).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_over_its_limit_has_timed_out() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await.id;
    let hasty = db
        .opened(|settings| {
            settings.pool_size = 1;
            settings.statement_timeout = Duration::from_secs(1);
        })
        .await;
    let holder = db.client().await;
    holder
        .batch_execute("BEGIN; LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let read = hasty.conversation(&owner, target).await;
    assert!(matches!(read, Err(StorageError::TimedOut)), "{read:?}");
    let mut tx = hasty.begin(&owner, at(0)).await.unwrap();
    let locked = tx.lock_conversation(target).await;
    assert!(matches!(locked, Err(StorageError::TimedOut)), "{locked:?}");
    drop(tx);
    works(&hasty, &owner).await;
    holder.batch_execute("ROLLBACK").await.unwrap();
    assert!(hasty.conversation(&owner, target).await.unwrap().is_some());
}

/// A process that was stopped in the middle of a transaction must not hold its locks for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_idles_too_long_is_ended() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    let target = open(&db.open, &owner).await.id;
    let hasty = db
        .opened(|settings| {
            settings.pool_size = 1;
            settings.statement_timeout = Duration::from_secs(1);
        })
        .await;
    let watch = db.client().await;
    let mut tx = hasty.begin(&owner, at(0)).await.unwrap();
    tx.lock_conversation(target).await.unwrap();
    eventually(SOON, async || {
        (others(&watch, "state LIKE 'idle in transaction%'").await == 0).then_some(())
    })
    .await;
    let late = tx.lock_conversation(target).await;
    assert!(
        matches!(late, Err(StorageError::Unavailable(_))),
        "{late:?}"
    );
    drop(tx);
    works(&hasty, &owner).await;
}
