//! Many degraded writes with keys that wait for a reconciliation pass.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::database::Session;
use super::redis::Connection;
use super::world::World;
use crate::cache::{Cache, Shared};
use crate::gate::{GATE_TTL, MARGIN};
use crate::key::{Key, Kind};
use crate::ledger::Ledger as _;
use crate::settings::{Backend, CacheSettings};
use crate::token::Token;

/// Starts an instance with an epoch in force. Returns it with its database.
async fn instance(world: &World) -> (Arc<Cache>, Session) {
    let session = Session {
        world: world.clone(),
        instance: 0,
    };
    let connection = Connection {
        world: world.clone(),
        instance: 0,
    };
    let shared = Shared {
        remote: Arc::new(connection),
        tracking: None,
    };
    let settings = CacheSettings::new(Backend::Redis, Arc::new(|| 7));
    let cache = Cache::new(settings, Some(shared), Arc::new(session.clone()));
    cache.reconcile().await;
    tokio::time::sleep(GATE_TTL + MARGIN).await;
    cache.reconcile().await;
    assert!(cache.gate().unwrap().open, "{:?}", cache.gate());
    (cache, session)
}

/// Adds the rows of degraded writes of one key each.
async fn add_degraded_writes(session: &Session, writes: u128) {
    let add = move |tables: &mut super::database::Tables| {
        for number in 1..=writes {
            tables.add_rows(&[Key::new(Kind::Message, number)], Token(number));
        }
    };
    session.transact(add).await.unwrap();
}

async fn waiting(session: &Session) -> usize {
    session.pending(i64::MAX).await.unwrap().count()
}

/// The count is right although no pass can release the keys.
#[tokio::test(start_paused = true)]
async fn pending_rows_are_counted_during_an_outage() {
    let world = World::new(1, 1, 0);
    let (cache, session) = instance(&world).await;
    world.lock().links[0].requests_lost = true;
    for writes in [3, 4] {
        add_degraded_writes(&session, writes).await;
        cache.reconcile().await;
        let gate = cache.gate().unwrap();
        assert_eq!(gate.pending, waiting(&session).await as u64, "{gate:?}");
    }
    assert_eq!(waiting(&session).await, 7);
}

#[tokio::test(start_paused = true)]
async fn one_pass_releases_the_rows_of_an_outage() {
    let world = World::new(1, 1, 0);
    let (cache, session) = instance(&world).await;
    add_degraded_writes(&session, 2_000).await;
    tokio::time::sleep(GATE_TTL).await;
    assert!(!cache.gate().unwrap().open);

    cache.reconcile().await;
    let gate = cache.gate().unwrap();
    assert!(gate.open, "{gate:?}");
    assert_eq!((waiting(&session).await, gate.pending), (0, 0));
}

/// More rows than a pass has time for, and a Redis that is slow at times: each pass releases some rows, and none twice.
#[tokio::test(start_paused = true)]
async fn several_passes_release_many_rows() {
    let world = World::new(1, 1, 0);
    let (cache, session) = instance(&world).await;
    world.lock().slow = 1;
    add_degraded_writes(&session, 9_900).await;
    let (mut before, mut passes) = (9_900, 0);
    while before > 0 {
        cache.reconcile().await;
        let now = waiting(&session).await;
        assert!(now <= before && !cache.gate.database_is_away());
        before = now;
        passes += 1;
        assert!(passes < 1_000, "{now} still wait: {:?}", cache.gate());
    }
    assert!(passes > 1);
    world.lock().slow = 0;
    cache.reconcile().await;
    assert!(cache.gate().unwrap().open);
}

/// The reported cause distinguishes the database from Redis.
#[tokio::test(start_paused = true)]
async fn a_pass_that_times_out_names_the_system_that_did_not_answer() {
    let world = World::new(1, 1, 0);
    let (cache, _) = instance(&world).await;
    world.lock().tables(0).away_until = Instant::now() + 3 * GATE_TTL;
    cache.reconcile().await;
    assert!(cache.gate.database_is_away());
    let trouble = cache.gate().unwrap().trouble;
    assert_eq!(trouble, "the database did not answer in time");

    tokio::time::sleep(3 * GATE_TTL + Duration::from_millis(500)).await;
    world.lock().links[0].answers_lost = true;
    cache.reconcile().await;
    assert!(!cache.gate.database_is_away());
    let trouble = cache.gate().unwrap().trouble;
    assert!(trouble.contains("redis"), "{trouble}");
}
