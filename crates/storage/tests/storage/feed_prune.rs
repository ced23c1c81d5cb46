//! Pruning: removed events are recorded as removed, and never return.

use parlance_storage::feed::Position;
use parlance_testkit::eventually;

use crate::feed::all;
use crate::support::{Db, SOON, at, committed, conversation, open, owner};

/// Appends one event with its own time.
async fn event(db: &Db, seconds: i64) {
    let owner = owner("acme");
    let mut tx = db.open.begin(&owner, at(seconds)).await.unwrap();
    assert!(tx.insert_conversation(&conversation(&owner)).await.unwrap());
    committed(tx).await;
}

/// Prunes in as many steps as transactions of other tests on the same server require: each may delay the rest for a
/// while.
async fn prune(db: &Db, before: i64, limit: i64, expected: usize) {
    let mut gone = 0;
    eventually(SOON, async || {
        let left = limit - i64::try_from(gone).unwrap();
        gone += db.open.prune_feed(at(before), left).await.unwrap();
        (gone >= expected).then_some(())
    })
    .await;
    assert_eq!(gone, expected);
}

on_both! {
    async fn pruned_events_are_recorded_and_never_returned(db: Db) {
        assert_eq!(db.open.feed_state().await.unwrap().pruned, Position::default());
        assert_eq!(db.open.prune_feed(at(0), 10).await.unwrap(), 0);
        for seconds in 0..5 {
            event(&db, seconds).await;
        }
        let events = eventually(SOON, async || {
            let page = db.open.feed_page(Position::default(), 10).await.unwrap();
            (page.events.len() == 5).then_some(page.events)
        }).await;

        assert_eq!(db.open.prune_feed(at(0), 10).await.unwrap(), 0, "nothing is older");
        assert_eq!(db.open.feed_state().await.unwrap().pruned, Position::default());
        prune(&db, 3, 2, 2).await;
        assert_eq!(db.open.feed_state().await.unwrap().pruned, events[1].position, "the limit");
        prune(&db, 3, 2, 1).await;
        assert_eq!(db.open.feed_state().await.unwrap().pruned, events[2].position, "the time");
        assert_eq!(db.count("feed").await, 2);
        assert_eq!(all(&db.open).await, events[3..]);
        assert_eq!(db.open.feed_page(events[2].position, 10).await.unwrap().events, events[3..]);

        prune(&db, 99, 10, 2).await;
        let state = db.open.feed_state().await.unwrap();
        assert_eq!(state.pruned, events[4].position);
        assert!(db.open.feed_now().await.unwrap().position >= state.pruned);
        // The feed is empty now. Without AUTOINCREMENT SQLite would start again at 1, before every cursor.
        event(&db, 9).await;
        let page = eventually(SOON, async || {
            let page = db.open.feed_page(state.pruned, 10).await.unwrap();
            (page.events.len() == 1).then_some(page)
        }).await;
        assert!(page.events[0].position > state.pruned);
        assert_eq!(db.open.feed_state().await.unwrap().epoch, state.epoch);
    }
}

/// Events that an older transaction still holds back are not pruned, however old they are: no reader has seen them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_behind_the_horizon_are_not_pruned() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    event(&db, 0).await;
    let mut late = db.open.begin(&owner, at(1)).await.unwrap();
    assert!(
        late.insert_conversation(&conversation(&owner))
            .await
            .unwrap()
    );
    event(&db, 2).await;
    prune(&db, 99, 10, 1).await;
    assert_eq!(db.count("feed").await, 1);
    committed(late).await;
    prune(&db, 99, 10, 2).await;
}

/// Two instances prune at once: without a lock on the state the slower one, which read less, would move it back, and a
/// cursor in between would be accepted although its events are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pruned_position_never_goes_back() {
    let db = Db::postgres().await;
    let owner = owner("acme");
    for _ in 0..4 {
        open(&db.open, &owner).await;
    }
    let events = eventually(SOON, async || {
        let page = db.open.feed_page(Position::default(), 10).await.unwrap();
        (page.events.len() == 4).then_some(page.events)
    })
    .await;
    let last = events[2].position;
    let other = db.client().await;
    other
        .batch_execute(&format!(
            "BEGIN; UPDATE feed_state SET pruned_xid = '{}', pruned_id = {}; \
             DELETE FROM feed WHERE (xid, id) <= ('{}'::xid8, {})",
            last.xid, last.id, last.xid, last.id
        ))
        .await
        .unwrap();
    let slow = db.open.prune_feed(at(99), 1);
    let faster = async {
        let watch = db.client().await;
        eventually(SOON, async || {
            let sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() \
                       AND wait_event_type = 'Lock' AND query LIKE '%feed_state%'";
            let rows = watch.query(sql, &[]).await.unwrap();
            (!rows.is_empty()).then_some(())
        })
        .await;
        other.batch_execute("COMMIT").await.unwrap();
    };
    let (slow, ()) = tokio::join!(slow, faster);
    slow.unwrap();
    assert!(db.open.feed_state().await.unwrap().pruned >= last);
}
