//! A database that is not the recorded one, or that went back to an earlier state.

use parlance_storage::feed::{FeedProgress, Position};
use parlance_storage::{Database, DatabaseUrl, Settings};
use parlance_testkit::{Postgres, PostgresConfig, eventually};

use crate::hold::{claim, ready, send};
use crate::support::{Db, SOON, open, owner};

/// The epoch and the number of held messages.
async fn settled(db: &Database) -> (i64, i64) {
    let epoch = db.settle_identity(FeedProgress::default()).await.unwrap();
    let queues = db.queue_depths().await.unwrap();
    let held = queues.iter().filter(|queue| queue.held);
    (epoch, held.map(|queue| queue.depth).sum())
}

/// Nothing was claimed on the other database; its feed has a new epoch, and waiting deliveries are held.
async fn assert_new_epoch(db: &Database, epoch: i64) {
    let owner = owner("acme");
    assert_eq!(claim(db).await, [], "before the database was recorded");
    let (new, held) = settled(db).await;
    assert!(new > epoch && held == 1, "{epoch} {new} {held}");
    assert_eq!(settled(db).await, (new, 1), "once");
    assert_eq!(claim(db).await, []);

    // Events of before are not shown, whatever their ids, and are removed.
    let state = db.feed_state().await.unwrap();
    assert_eq!(state.epoch, new);
    let shown = async || db.feed_page(state.pruned, 10).await.unwrap().events;
    assert_eq!(shown().await, []);
    let target = open(db, &owner).await.id;
    let page = eventually(SOON, async || {
        let page = db.feed_page(state.pruned, 10).await.unwrap();
        (!page.events.is_empty()).then_some(page)
    })
    .await;
    assert_eq!(page.events.len(), 1);
    assert_eq!(page.events[0].event.conversation_id, target);
    assert!(page.events[0].position > state.pruned);
    while db.prune_stale_feed(1).await.unwrap() > 0 {}
    assert_eq!(shown().await, page.events);
    assert_eq!(settled(db).await, (new, 1));
}

/// Stores a sent message that waits for delivery; returns the feed's epoch.
async fn in_use(db: &Database) -> i64 {
    let owner = owner("acme");
    let epoch = db.settle_identity(FeedProgress::default()).await.unwrap();
    let from = ready(db, &owner).await;
    let target = open(db, &owner).await.id;
    send(db, &from, target).await;
    epoch
}

fn named(db: &Db, server: &Postgres, name: &str) -> Settings {
    let (base, _) = server.url().rsplit_once('/').unwrap();
    Settings {
        url: DatabaseUrl::parse(&format!("{base}/{name}")).unwrap(),
        ..db.settings.clone()
    }
}

fn name(db: &Db) -> String {
    let DatabaseUrl::Postgres(url) = &db.settings.url else {
        panic!("only Postgres has databases with names");
    };
    url.rsplit('/').next().unwrap().to_owned()
}

on_both! {
    async fn the_first_start_holds_nothing(db: Db) {
        let owner = owner("acme");
        let (epoch, held) = settled(&db.open).await;
        assert_eq!((epoch, held), (db.open.feed_state().await.unwrap().epoch, 0));
        let from = ready(&db.open, &owner).await;
        let target = open(&db.open, &owner).await.id;
        let sent = send(&db.open, &from, target).await;
        assert_eq!(settled(&db.open).await, (epoch, 0));
        assert_eq!(claim(&db.open).await, [sent.id]);
    }

    async fn another_database_begins_a_new_epoch(db: Db) {
        let on = db.opened(|settings| settings.hold_after_restore = true).await;
        let epoch = in_use(&on).await;
        db.run("UPDATE installation SET database = 'another', server = 'another'").await;
        assert_new_epoch(&on, epoch).await;
    }

    /// An earlier state that is restored twice starts with the same epoch twice: the second new one is still higher.
    async fn epochs_of_the_feed_grow_over_restores(db: Db) {
        let first = in_use(&db.open).await;
        db.run("UPDATE installation SET database = 'another', server = 'another'").await;
        let (second, _) = settled(&db.open).await;
        db.run(&format!(
            "UPDATE feed_state SET epoch = {first}; UPDATE installation SET database = 'a third', server = 'a third'"
        ))
        .await;
        let (third, _) = settled(&db.open).await;
        assert!(first < second && second < third, "{first} {second} {third}");
    }

    /// A cursor after this position belongs to a state that was lost.
    async fn no_event_is_after_the_end_of_the_feed(db: Db) {
        let owner = owner("acme");
        for _ in 0..3 {
            open(&db.open, &owner).await;
            let page = db.open.feed_page(Position::default(), 10).await.unwrap();
            let last = page.events.last().map(|event| event.position);
            let start = db.open.feed_now().await.unwrap().position;
            let end = db.open.feed_state().await.unwrap().end;
            assert!(last <= Some(end) && start <= end, "{last:?} {start:?} {end:?}");
        }
    }

    /// With the guard switched off.
    async fn without_a_hold_waiting_deliveries_are_sent_again(db: Db) {
        let off = db.opened(|settings| settings.hold_after_restore = false).await;
        let epoch = in_use(&off).await;
        db.run("UPDATE installation SET database = 'another', server = 'another'").await;
        let (new, held) = settled(&off).await;
        assert!(new > epoch && held == 0, "{epoch} {new} {held}");
        assert_eq!(claim(&off).await.len(), 1);
    }

    /// What the cache proves by its marker.
    async fn a_database_that_went_back_begins_one_new_epoch(db: Db) {
        let on = db.opened(|settings| settings.hold_after_restore = true).await;
        let epoch = in_use(&on).await;
        on.database_went_back(7).await.unwrap();
        let (new, held) = settled(&on).await;
        assert!(new > epoch && held == 1, "{epoch} {new} {held}");
        // Another instance has seen the same marker.
        on.database_went_back(7).await.unwrap();
        assert_eq!(settled(&on).await, (new, 1));
        // A later pass finds the database at the marker; then it goes back once more.
        assert!(on.cache_count(8).await.unwrap().is_some());
        on.database_went_back(20).await.unwrap();
        assert!(settled(&on).await.0 > new);
    }

    /// Two signs of the same restore. What was sent after the first one has not been sent before.
    async fn a_restore_with_two_signs_holds_once(db: Db) {
        let on = db.opened(|settings| settings.hold_after_restore = true).await;
        let owner = owner("acme");
        in_use(&on).await;
        let from = ready(&on, &owner).await;
        db.run("UPDATE installation SET database = 'another', server = 'another'").await;
        let (epoch, held) = settled(&on).await;
        assert_eq!(held, 1);
        let target = open(&on, &owner).await.id;
        let later = send(&on, &from, target).await;
        on.database_went_back(20).await.unwrap();
        assert_eq!(settled(&on).await, (epoch, 1));
        assert_eq!(claim(&on).await, [later.id]);
        assert_eq!(on.cache_count(20).await.unwrap(), Some(22), "the counter is beyond the marker");
    }
}

/// A copy of the database on the same server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_database_begins_a_new_epoch() {
    let server = Postgres::start(PostgresConfig::default());
    let db = Db::within(&server).await;
    let epoch = in_use(&db.open).await;
    let name = name(&db);
    let copied = named(&db, &server, "copied");
    drop(db.open.clone());
    let maintenance = named(&db, &server, "postgres");
    let connections = format!(
        "SELECT CAST(count(pg_terminate_backend(pid, 10000)) AS text) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    eventually(SOON, async || {
        Db::rows_of(&maintenance, &connections).await;
        let copy = format!("CREATE DATABASE copied TEMPLATE {name}");
        Db::try_run(&maintenance, &copy).await.ok()
    })
    .await;
    let database = Database::open(&copied).await.unwrap();
    assert_new_epoch(&database, epoch).await;
}

/// The standby has another timeline once it is promoted; until then nothing is written there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promoted_standby_begins_a_new_epoch() {
    let primary = Postgres::start(PostgresConfig::default());
    let db = Db::within(&primary).await;
    let epoch = in_use(&db.open).await;
    let standby = primary.standby();
    let promoted = named(&db, &standby, &name(&db));
    let sql = "SELECT CAST(pg_promote(true, 60) AS text)";
    assert_eq!(Db::rows_of(&promoted, sql).await, [Some("true".to_owned())]);
    let database = Database::open(&promoted).await.unwrap();
    assert_ne!(
        database.identity().await.unwrap(),
        db.open.identity().await.unwrap()
    );
    assert_new_epoch(&database, epoch).await;
    assert_eq!(settled(&db.open).await, (epoch, 0), "the other lives on");
}

/// Restoring a dump over the tables creates them again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_created_again_is_another_database() {
    let db = Db::postgres().await;
    let epoch = in_use(&db.open).await;
    db.run(
        "BEGIN; CREATE TABLE copy (LIKE installation INCLUDING ALL); INSERT INTO copy SELECT * FROM installation; \
         DROP TABLE installation; ALTER TABLE copy RENAME TO installation; COMMIT",
    )
    .await;
    assert_new_epoch(&db.open, epoch).await;
}

/// A process that kept running while an earlier state was restored has seen transactions that the server has not begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_behind_the_read_position_begins_one_new_epoch() {
    let db = Db::postgres().await;
    let epoch = in_use(&db.open).await;
    let state = db.open.feed_state().await.unwrap();
    let reached = FeedProgress {
        epoch,
        position: state.end,
    };
    assert_eq!(db.open.settle_identity(reached).await.unwrap(), epoch);
    let position = Position {
        xid: state.end.xid + 1_000_000_000,
        id: 1,
    };
    // From another epoch it proves nothing.
    let of_another = FeedProgress {
        epoch: epoch - 1,
        position,
    };
    assert_eq!(db.open.settle_identity(of_another).await.unwrap(), epoch);
    let lost = FeedProgress { epoch, position };
    let new = db.open.settle_identity(lost).await.unwrap();
    assert!(new > epoch, "{epoch} {new}");
    assert_eq!(settled(&db.open).await, (new, 1));
    assert_eq!(db.open.settle_identity(lost).await.unwrap(), new, "once");

    // The same state is restored once more: its epoch is lower than the one that was seen.
    let seen = FeedProgress {
        epoch: new,
        position: Position::default(),
    };
    db.run(&format!("UPDATE feed_state SET epoch = {epoch}"))
        .await;
    let newer = db.open.settle_identity(seen).await.unwrap();
    assert!(newer > new, "{new} {newer}");
    assert_eq!(db.open.settle_identity(seen).await.unwrap(), newer, "once");
}

/// Events that were restored into a server which has assigned lower transaction ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_with_future_ids_begin_a_new_epoch() {
    let db = Db::postgres().await;
    let epoch = in_use(&db.open).await;
    db.run("UPDATE feed SET xid = (xid::text::bigint + 1000000000)::text::xid8")
        .await;
    let page = db.open.feed_page(Position::default(), 10).await.unwrap();
    assert!(page.events.is_empty() && page.blocked_since.is_some());
    let (new, held) = settled(&db.open).await;
    assert!(new > epoch && held == 1, "{epoch} {new} {held}");
    let owner = owner("acme");
    open(&db.open, &owner).await;
    let from = db.open.feed_state().await.unwrap().pruned;
    let page = eventually(SOON, async || {
        let page = db.open.feed_page(from, 10).await.unwrap();
        (!page.events.is_empty()).then_some(page)
    })
    .await;
    assert_eq!((page.events.len(), page.blocked_since), (1, None));
    assert!(from > Position::default());
}
