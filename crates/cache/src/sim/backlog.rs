//! Many writes that could not tell the cache wait for one drain.

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
use crate::remote::Token;
use crate::settings::{Backend, CacheSettings};

/// An instance whose epoch is in force, and its database.
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
    cache.drain().await;
    tokio::time::sleep(GATE_TTL + MARGIN).await;
    cache.drain().await;
    assert!(cache.gate().unwrap().open, "{:?}", cache.gate());
    (cache, session)
}

/// So many writes of one key each, all at once.
async fn cut_off(session: &Session, writes: u128) {
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

/// Nobody drains, and it is seen what gathers.
#[tokio::test(start_paused = true)]
async fn what_gathers_in_an_outage_is_counted() {
    let world = World::new(1, 1, 0);
    let (cache, session) = instance(&world).await;
    world.lock().links[0].deaf = true;
    for writes in [3, 4] {
        cut_off(&session, writes).await;
        cache.drain().await;
        let gate = cache.gate().unwrap();
        assert_eq!(gate.pending, waiting(&session).await as u64, "{gate:?}");
    }
    assert_eq!(waiting(&session).await, 7);
}

#[tokio::test(start_paused = true)]
async fn what_gathered_in_an_outage_goes_with_one_drain() {
    let world = World::new(1, 1, 0);
    let (cache, session) = instance(&world).await;
    cut_off(&session, 2_000).await;
    tokio::time::sleep(GATE_TTL).await;
    assert!(!cache.gate().unwrap().open);

    cache.drain().await;
    let gate = cache.gate().unwrap();
    assert!(gate.open, "{gate:?}");
    assert_eq!((waiting(&session).await, gate.pending), (0, 0));
}

/// More than a drain has time for, and a Redis that is slow at times: each does what it can, and what is done is done for good.
#[tokio::test(start_paused = true)]
async fn what_does_not_go_with_one_drain_goes_with_several() {
    let world = World::new(1, 1, 0);
    let (cache, session) = instance(&world).await;
    world.lock().slow = 1;
    cut_off(&session, 9_900).await;
    let (mut before, mut drains) = (9_900, 0);
    while before > 0 {
        cache.drain().await;
        let now = waiting(&session).await;
        assert!(now <= before && !cache.gate.database_is_away());
        before = now;
        drains += 1;
        assert!(drains < 1_000, "{now} still wait: {:?}", cache.gate());
    }
    assert!(drains > 1);
    world.lock().slow = 0;
    cache.drain().await;
    assert!(cache.gate().unwrap().open);
}

/// Who is away is told from who is not.
#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_too_long_says_who_did_not_answer() {
    let world = World::new(1, 1, 0);
    let (cache, _) = instance(&world).await;
    world.lock().tables(0).away_until = Instant::now() + 3 * GATE_TTL;
    cache.drain().await;
    assert!(cache.gate.database_is_away());
    let trouble = cache.gate().unwrap().trouble;
    assert_eq!(trouble, "the database did not answer in time");

    tokio::time::sleep(3 * GATE_TTL + Duration::from_millis(500)).await;
    world.lock().links[0].mute = true;
    cache.drain().await;
    assert!(!cache.gate.database_is_away());
    let trouble = cache.gate().unwrap().trouble;
    assert!(trouble.contains("redis"), "{trouble}");
}
