//! Concurrent misses of the same keys (single flight).

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

const READERS: usize = 200;
const OWNER: &str = "owner";

/// Starts an instance and waits until its gate is open.
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

/// Counts the loads of concurrent reads of one key.
async fn count_loads(backend: Backend, key: Key) -> usize {
    let cache = serving(backend).await;
    let loads = Arc::new(AtomicUsize::new(0));
    let readers = (0..READERS).map(|number| {
        let (cache, loads) = (Arc::clone(&cache), Arc::clone(&loads));
        async move {
            // All readers arrive while the first one waits for the database.
            sleep(Duration::from_micros(number as u64 * 20)).await;
            let lookup = ReadRequest {
                key,
                owner: OWNER,
                max_staleness: None,
            };
            let load = move || async move {
                loads.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(50)).await;
                Ok::<_, String>(Some(1))
            };
            assert!(cache.read(lookup, Single, load).await.unwrap().is_some());
        }
    });
    join_all(readers).await;
    loads.load(Ordering::Relaxed)
}

/// Longer than the budget of a read for Redis.
const SLOW: Duration = Duration::from_millis(100);

/// Counts the loads of concurrent batch reads, each of a common key and a key of its own.
async fn count_batch_loads(cache: &Arc<Cache>, owner: &'static str, count: usize) -> usize {
    let loads = Arc::new(AtomicUsize::new(0));
    let readers = (0..count).map(|number| {
        let (cache, loads) = (Arc::clone(cache), Arc::clone(&loads));
        async move {
            sleep(Duration::from_micros(number as u64 * 20)).await;
            let own = Key::new(Kind::Message, 1_000 + number as u128);
            let lookup = BatchReadRequest {
                keys: &[SINGLE, own],
                owner,
                max_staleness: None,
            };
            let load = move |missing: Vec<Key>| async move {
                loads.fetch_add(1, Ordering::Relaxed);
                sleep(SLOW).await;
                Ok::<_, String>(missing.into_iter().map(|key| (key, 1)).collect())
            };
            let found = cache.read_many(lookup, |_| Single, load).await.unwrap();
            assert_eq!(found.len(), 2);
            assert!(found.contains_key(&SINGLE) && found.contains_key(&own));
        }
    });
    join_all(readers).await;
    // Fills of Redis finish after the answers.
    sleep(SLOW).await;
    loads.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn concurrent_batch_reads_share_loads_and_hits_need_none() {
    for backend in [Backend::Memory, Backend::Redis, Backend::Hybrid] {
        let cache = serving(backend).await;
        let loads = count_batch_loads(&cache, OWNER, READERS).await;
        assert!(loads <= 2, "{backend:?}: {loads}");
        let loads = count_batch_loads(&cache, OWNER, READERS).await;
        assert_eq!(loads, 0, "{backend:?}");
    }
}

/// More keys than one load may have: some readers load by themselves, and all are answered.
#[tokio::test(start_paused = true)]
async fn more_keys_than_one_load_holds_are_all_answered() {
    for backend in [Backend::Memory, Backend::Redis] {
        let cache = serving(backend).await;
        let loads = count_batch_loads(&cache, OWNER, 3 * READERS).await;
        assert!((3..=3 * READERS).contains(&loads), "{backend:?}: {loads}");
        assert_eq!(count_batch_loads(&cache, OWNER, 3 * READERS).await, 0);
    }
}

/// If a shared load panics, all readers that waited for it load by themselves.
#[tokio::test(start_paused = true)]
async fn a_lost_load_is_repeated_by_its_waiters() {
    let cache = serving(Backend::Memory).await;
    let loads = Arc::new(AtomicUsize::new(0));
    let ask = || {
        let (cache, loads) = (Arc::clone(&cache), Arc::clone(&loads));
        async move {
            let load = move || async move {
                let number = loads.fetch_add(1, Ordering::Relaxed);
                sleep(SLOW).await;
                // The second load is that of the readers that arrived during the first.
                assert_ne!(number, 1, "lost on purpose");
                Ok::<_, String>(Some(1))
            };
            let lookup = ReadRequest {
                key: STATS,
                owner: OWNER,
                max_staleness: None,
            };
            cache.read(lookup, Single, load).await.unwrap().is_some()
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
            let lookup = BatchReadRequest {
                keys: &[SINGLE],
                owner: OWNER,
                max_staleness: None,
            };
            cache
                .read_many(lookup, |_| Single, load)
                .await
                .unwrap()
                .len()
        }
    };
    assert_eq!(join_all((0..5).map(|_| ask())).await, [1; 5]);
}

/// The first reader loads by itself. Its row may be older than the other reads, so those share one more load.
#[tokio::test(start_paused = true)]
async fn concurrent_reads_of_one_key_share_a_load() {
    for backend in [Backend::Memory, Backend::Redis, Backend::Hybrid] {
        for key in [SINGLE, STATS] {
            let loads = count_loads(backend, key).await;
            assert!(loads <= 2, "{backend:?} {key}: {loads}");
        }
    }
}
