//! Memory instance that is stopped for longer than its gate is open. Meanwhile another instance may have started, written and
//! been forgotten.

use std::sync::Arc;
use std::time::Duration;

use super::database::Session;
use super::play::Single;
use super::redis::SINGLE;
use super::world::World;
use crate::cache::{Cache, ReadRequest};
use crate::gate::GATE_TTL;
use crate::settings::{Backend, CacheSettings};
use crate::token::Token;

const REQUEST: ReadRequest<'static> = ReadRequest {
    key: SINGLE,
    owner: "owner",
    max_staleness: None,
};

async fn read_and_cache(cache: &Arc<Cache>) {
    let load = || async { Ok::<_, String>(Some(1)) };
    cache.read(REQUEST, Single, load).await.unwrap();
    assert!(cache.hit(SINGLE, "owner").is_some());
}

#[tokio::test(start_paused = true)]
async fn values_from_before_a_lapse_are_not_served_after_it() {
    let session = Session {
        world: World::new(1, 1, 0),
        instance: 0,
    };
    let settings = CacheSettings::new(Backend::Memory, Arc::new(|| 7));
    let cache = Cache::new(settings, None, Arc::new(session));
    cache.reconcile().await;
    read_and_cache(&cache).await;
    // Renewed in time: the value stays.
    cache.reconcile().await;
    assert!(cache.hit(SINGLE, "owner").is_some());

    tokio::time::advance(GATE_TTL + Duration::from_millis(1)).await;
    assert!(cache.hit(SINGLE, "owner").is_none(), "the gate is shut");
    cache.reconcile().await;
    assert!(cache.gate().unwrap().open);
    assert!(cache.hit(SINGLE, "owner").is_none());
    read_and_cache(&cache).await;
}

/// Also for a read that was in progress when the gate lapsed.
#[tokio::test(start_paused = true)]
async fn a_lease_from_before_a_lapse_fills_nothing_after_it() {
    let memory = crate::memory::MemoryTier::new(10, 1 << 20);
    let token = Token(1);
    assert!(matches!(
        memory.acquire(SINGLE, 0, token),
        crate::memory::Leased::Granted
    ));
    memory.empty();
    let encoded = crate::memory::EncodedValue::One(bytes::Bytes::from_static(b"old"));
    let ttl = Duration::from_mins(1);
    assert!(!memory.fill((SINGLE, token), Some(("owner", encoded)), 0, ttl));
}
