//! More comes than can leave, while an old transaction keeps Postgres from cleaning up behind us: the queue still drains, in
//! the order in which the jobs became due.

use std::collections::HashMap;
use std::sync::Arc;

use parlance_app::delivery::Pace;
use parlance_domain::MessageId;

use crate::support::{Db, Kind, Outgoing, SECOND, SOON, World, pace, scale};

/// By how many places the most unlucky message was overtaken.
fn most_overtaken(world: &World, sent: &[MessageId]) -> usize {
    let places: HashMap<MessageId, usize> = sent
        .iter()
        .enumerate()
        .map(|(place, id)| (*id, place))
        .collect();
    let accepts = world.far.accepts();
    let unlucky = accepts
        .iter()
        .enumerate()
        .map(|(came, accept)| came.saturating_sub(places[&accept.message]));
    unlucky.max().unwrap_or(0)
}

/// What a claim looks at.
const LOOK: &str = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) SELECT message_id FROM deliveries \
     WHERE NOT blocked AND generation = 0 AND due_at <= '2100-01-01' ORDER BY due_at LIMIT 100";

const WORKERS: usize = 4;
const DISPATCHERS: usize = 3;
/// A third of what comes in one go.
const PACK: usize = 6;

async fn overload(world: &Arc<World>) -> Vec<MessageId> {
    let mut dispatchers = Vec::new();
    for _ in 0..DISPATCHERS {
        let pace = Pace {
            workers: WORKERS,
            batch: WORKERS,
            ..pace()
        };
        dispatchers.push(world.dispatcher(pace).await);
    }
    let mut sent = Vec::new();
    world.far.ration();
    // Three come for every two that may leave.
    for round in 0..20 * scale() {
        for customer in 0..3 * PACK {
            sent.push(
                world
                    .send(Outgoing::to(round * 3 * PACK + customer))
                    .await
                    .id,
            );
            world.clock.advance(SECOND / 1_000);
        }
        world.far.allow(2 * PACK);
        let taken = (round + 1) * 2 * PACK;
        parlance_testkit::eventually(SOON, async || {
            (world.far.accepts().len() == taken).then_some(())
        })
        .await;
    }
    world.far.allow(sent.len());
    world.until_all_left().await;
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drains_in_turn_with_xmin_pinned() {
    let world = Arc::new(World::new(Db::postgres().await).await);
    let old = world.db.client().await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM deliveries")
        .await
        .unwrap();
    let sent = overload(&world).await;
    let looked_at = world.db.texts(LOOK).await;
    let pinned = world.db.count("pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL AND state = 'idle in transaction'").await;
    assert_eq!(pinned, 1, "the old transaction was there all the time");
    in_turn(&world, &sent).await;
    // What a claim steps over that is dead and cannot be cleaned up: the price of the old transaction.
    let rows = looked_at
        .iter()
        .filter(|line| line.contains("Removed") || line.contains("Buffers"))
        .collect::<Vec<_>>();
    eprintln!("{} messages; a claim of nothing: {rows:?}", sent.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drains_in_turn_on_sqlite() {
    let world = Arc::new(World::new(Db::sqlite().await).await);
    let sent = overload(&world).await;
    in_turn(&world, &sent).await;
}

async fn in_turn(world: &World, sent: &[MessageId]) {
    let wrong = world.wrongs(sent).await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(world.far.calls(), sent.len());
    // Those who were in hands at the same time come in any order, and a hand may be slow.
    let overtaken = most_overtaken(world, sent);
    assert!(overtaken < sent.len() / 4, "{overtaken}");
}

on_both! {
    /// Guard off: the newest first.
    async fn out_of_turn_somebody_starves(world: World) {
        let sent = world.send_to_each(0..100, |outgoing| outgoing).await;
        for (place, id) in sent.iter().enumerate() {
            let by = if world.db.kind == Kind::Sqlite { format!("{place}") } else { format!("interval '{place} seconds'") };
            world.db.run(&format!("UPDATE deliveries SET due_at = due_at - {by} WHERE message_id = {}", world.db.id(id))).await;
        }
        let _dispatcher = world.dispatcher(Pace { workers: WORKERS, batch: WORKERS, ..pace() }).await;
        world.until_all_left().await;
        let overtaken = most_overtaken(&world, &sent);
        assert!(overtaken > sent.len() / 4 * 3, "{overtaken}");
    }
}
