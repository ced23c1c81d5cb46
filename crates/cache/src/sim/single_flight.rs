//! Many who want the same at once, of which there is nothing in the cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::database::Session;
use super::play::Single;
use super::redis::{Connection, SINGLE, STATS};
use super::world::World;
use crate::cache::{Cache, ReadRequest, Shared};
use crate::key::{Key, Kind};
use crate::read_many::BatchReadRequest;
use crate::settings::{Backend, CacheSettings};

const CROWD: usize = 200;
const OWNER: &str = "owner";

/// Of one instance, its gate open.
pub(super) async fn serving(backend: Backend) -> Arc<Cache> {
    let (world, instance) = (World::new(1, 1, 0), 0);
    let session = Session {
        world: world.clone(),
        instance,
    };
    let shared = Shared {
        remote: Arc::new(Connection { world, instance }),
        tracking: None,
    };
    let settings = CacheSettings {
        shared_database: backend != Backend::Memory,
        ..CacheSettings::new(backend, Arc::new(|| 7))
    };
    let cache = Cache::new(settings, Some(shared), Arc::new(session));
    tokio::spawn(Arc::clone(&cache).keep());
    cache.wait_until_ready().await;
    while cache.gate().is_some_and(|gate| !gate.open) {
        sleep(Duration::from_millis(10)).await;
    }
    cache
}

/// How often the database was asked for all of them.
async fn asked(backend: Backend, key: Key) -> usize {
    let cache = serving(backend).await;
    let loads = Arc::new(AtomicUsize::new(0));
    let readers = (0..CROWD).map(|number| {
        let (cache, loads) = (Arc::clone(&cache), Arc::clone(&loads));
        async move {
            // They come while the first still waits for the database.
            sleep(Duration::from_micros(number as u64 * 20)).await;
            let asked = ReadRequest {
                key,
                owner: OWNER,
                max_staleness: None,
            };
            let load = move || async move {
                loads.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(50)).await;
                Ok::<_, String>(Some(1))
            };
            assert!(cache.read(asked, Single, load).await.unwrap().is_some());
        }
    });
    join_all(readers).await;
    loads.load(Ordering::Relaxed)
}

/// Longer than a read has for Redis.
const SLOW: Duration = Duration::from_millis(100);

/// The same of those who ask for many: each for one that all want, and one that nobody else does.
async fn asked_for_many(cache: &Arc<Cache>, owner: &'static str, crowd: usize) -> usize {
    let loads = Arc::new(AtomicUsize::new(0));
    let readers = (0..crowd).map(|number| {
        let (cache, loads) = (Arc::clone(cache), Arc::clone(&loads));
        async move {
            sleep(Duration::from_micros(number as u64 * 20)).await;
            let own = Key::new(Kind::Message, 1_000 + number as u128);
            let asked = BatchReadRequest {
                keys: &[SINGLE, own],
                owner,
                max_staleness: None,
            };
            let load = move |missing: Vec<Key>| async move {
                loads.fetch_add(1, Ordering::Relaxed);
                sleep(SLOW).await;
                Ok::<_, String>(missing.into_iter().map(|key| (key, 1)).collect())
            };
            let found = cache.read_many(asked, |_| Single, load).await.unwrap();
            assert_eq!(found.len(), 2);
            assert!(found.contains_key(&SINGLE) && found.contains_key(&own));
        }
    });
    join_all(readers).await;
    // What is put into Redis is put there behind the answers.
    sleep(SLOW).await;
    loads.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn the_database_is_asked_once_for_all_that_is_missing_and_never_for_nothing() {
    for backend in [Backend::Memory, Backend::Redis, Backend::Hybrid] {
        let cache = serving(backend).await;
        let loads = asked_for_many(&cache, OWNER, CROWD).await;
        assert!(loads <= 2, "{backend:?}: {loads}");
        let loads = asked_for_many(&cache, OWNER, CROWD).await;
        assert_eq!(loads, 0, "{backend:?}");
    }
}

/// More than one flight holds: some go alone, and nobody goes without.
#[tokio::test(start_paused = true)]
async fn a_larger_crowd_is_answered_as_well() {
    for backend in [Backend::Memory, Backend::Redis] {
        let cache = serving(backend).await;
        let loads = asked_for_many(&cache, OWNER, 3 * CROWD).await;
        assert!((3..=3 * CROWD).contains(&loads), "{backend:?}: {loads}");
        assert_eq!(asked_for_many(&cache, OWNER, 3 * CROWD).await, 0);
    }
}

/// Whose question has failed in the middle asks again, and so do those who waited for its answer.
#[tokio::test(start_paused = true)]
async fn a_flight_that_is_lost_is_no_answer() {
    let cache = serving(Backend::Memory).await;
    let loads = Arc::new(AtomicUsize::new(0));
    let ask = || {
        let (cache, loads) = (Arc::clone(&cache), Arc::clone(&loads));
        async move {
            let load = move || async move {
                let number = loads.fetch_add(1, Ordering::Relaxed);
                sleep(SLOW).await;
                // The second is asked for those who came while the first was under way.
                assert_ne!(number, 1, "lost on purpose");
                Ok::<_, String>(Some(1))
            };
            let asked = ReadRequest {
                key: STATS,
                owner: OWNER,
                max_staleness: None,
            };
            cache.read(asked, Single, load).await.unwrap().is_some()
        }
    };
    assert_eq!(join_all((0..5).map(|_| ask())).await, [true; 5]);

    let loads = Arc::new(AtomicUsize::new(0));
    let ask = || {
        let (cache, loads) = (Arc::clone(&cache), Arc::clone(&loads));
        async move {
            let load = move |missing: Vec<Key>| async move {
                let number = loads.fetch_add(1, Ordering::Relaxed);
                sleep(SLOW).await;
                assert_ne!(number, 1, "lost on purpose");
                Ok::<_, String>(missing.into_iter().map(|key| (key, 1)).collect())
            };
            let asked = BatchReadRequest {
                keys: &[SINGLE],
                owner: OWNER,
                max_staleness: None,
            };
            cache
                .read_many(asked, |_| Single, load)
                .await
                .unwrap()
                .len()
        }
    };
    assert_eq!(join_all((0..5).map(|_| ask())).await, [1; 5]);
}

/// The first asks for himself. What he finds may be older than the others' questions, so they are asked for together once more.
#[tokio::test(start_paused = true)]
async fn the_database_is_asked_once_for_all_who_wait() {
    for backend in [Backend::Memory, Backend::Redis, Backend::Hybrid] {
        for key in [SINGLE, STATS] {
            let loads = asked(backend, key).await;
            assert!(loads <= 2, "{backend:?} {key}: {loads}");
        }
    }
}
