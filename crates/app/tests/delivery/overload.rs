//! Overload while an old transaction prevents vacuum: the queue still empties, in the order in which the deliveries
//! became due.

use std::collections::HashMap;
use std::sync::Arc;

use parlance_app::delivery::Pace;
use parlance_domain::MessageId;

use crate::support::{Db, Kind, Outgoing, SECOND, SOON, World, pace, scale};

/// Returns by how many positions later messages passed the most delayed message.
fn largest_overtake(world: &World, sent: &[MessageId]) -> usize {
    let positions: HashMap<MessageId, usize> = sent
        .iter()
        .enumerate()
        .map(|(position, id)| (*id, position))
        .collect();
    let accepts = world.provider.accepts();
    let overtakes = accepts
        .iter()
        .enumerate()
        .map(|(arrival, accept)| arrival.saturating_sub(positions[&accept.message]));
    overtakes.max().unwrap_or(0)
}

/// The statement of a claim.
const CLAIM: &str = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) SELECT message_id FROM deliveries \
     WHERE NOT blocked AND generation = 0 AND due_at <= '2100-01-01' ORDER BY due_at LIMIT 100";

const WORKERS: usize = 4;
const DISPATCHERS: usize = 3;
/// A third of the messages sent in one round.
const BATCH: usize = 6;

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
    world.provider.ration();
    // Three messages are sent for every two that may leave.
    for round in 0..20 * scale() {
        for customer in 0..3 * BATCH {
            sent.push(
                world
                    .send(Outgoing::to(round * 3 * BATCH + customer))
                    .await
                    .id,
            );
            world.clock.advance(SECOND / 1_000);
        }
        world.provider.allow(2 * BATCH);
        let accepted = (round + 1) * 2 * BATCH;
        parlance_testkit::eventually(SOON, async || {
            (world.provider.accepts().len() == accepted).then_some(())
        })
        .await;
    }
    world.provider.allow(sent.len());
    world.until_all_left().await;
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_empties_in_order_with_xmin_pinned() {
    let world = Arc::new(World::new(Db::postgres().await).await);
    let old = world.db.client().await;
    old.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM deliveries")
        .await
        .unwrap();
    let sent = overload(&world).await;
    let claim_plan = world.db.texts(CLAIM).await;
    let pinned = world.db.count("pg_stat_activity WHERE datname = current_database() AND backend_xmin IS NOT NULL AND state = 'idle in transaction'").await;
    assert_eq!(pinned, 1, "the old transaction stayed open");
    check_order(&world, &sent).await;
    // Dead rows that a claim skips and that cannot be removed: the cost of the old transaction.
    let rows = claim_plan
        .iter()
        .filter(|line| line.contains("Removed") || line.contains("Buffers"))
        .collect::<Vec<_>>();
    eprintln!("{} messages; plan of a claim: {rows:?}", sent.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_empties_in_order_on_sqlite() {
    let world = Arc::new(World::new(Db::sqlite().await).await);
    let sent = overload(&world).await;
    check_order(&world, &sent).await;
}

async fn check_order(world: &World, sent: &[MessageId]) {
    let violations = world.violations(sent).await;
    assert!(violations.is_empty(), "{violations:#?}");
    assert_eq!(world.provider.calls(), sent.len());
    // Messages in progress at the same time complete in any order, and a worker may be slow.
    let largest = largest_overtake(world, sent);
    assert!(largest < sent.len() / 4, "{largest}");
}

on_both! {
    /// Guard off: newest first.
    async fn with_newest_first_a_message_starves(world: World) {
        let sent = world.send_to_each(0..100, |outgoing| outgoing).await;
        for (position, id) in sent.iter().enumerate() {
            let by = if world.db.kind == Kind::Sqlite { format!("{position}") } else { format!("interval '{position} seconds'") };
            world.db.run(&format!("UPDATE deliveries SET due_at = due_at - {by} WHERE message_id = {}", world.db.id(id))).await;
        }
        let _dispatcher = world.dispatcher(Pace { workers: WORKERS, batch: WORKERS, ..pace() }).await;
        world.until_all_left().await;
        let largest = largest_overtake(&world, &sent);
        assert!(largest > sent.len() / 4 * 3, "{largest}");
    }
}
