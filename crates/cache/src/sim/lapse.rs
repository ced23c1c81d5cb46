//! An instance that keeps values in its own memory and is stopped for longer than its drain is good for: meanwhile another one may
//! have come, written, and gone again with all its traces.

use std::sync::Arc;
use std::time::Duration;

use super::database::Session;
use super::play::Single;
use super::redis::SINGLE;
use super::world::World;
use crate::cache::{Cache, ReadRequest};
use crate::gate::GATE_TTL;
use crate::remote::Token;
use crate::settings::{Backend, CacheSettings};

const ASKED: ReadRequest<'static> = ReadRequest {
    key: SINGLE,
    owner: "owner",
    max_staleness: None,
};

async fn kept(cache: &Arc<Cache>) {
    let load = || async { Ok::<_, String>(Some(1)) };
    cache.read(ASKED, Single, load).await.unwrap();
    assert!(cache.hit(SINGLE, "owner").is_some());
}

#[tokio::test(start_paused = true)]
async fn what_was_kept_before_a_lapse_is_not_shown_after_it() {
    let session = Session {
        world: World::new(1, 1, 0),
        instance: 0,
    };
    let settings = CacheSettings::new(Backend::Memory, Arc::new(|| 7));
    let cache = Cache::new(settings, None, Arc::new(session));
    cache.drain().await;
    kept(&cache).await;
    // In time: it stays.
    cache.drain().await;
    assert!(cache.hit(SINGLE, "owner").is_some());

    tokio::time::advance(GATE_TTL + Duration::from_millis(1)).await;
    assert!(cache.hit(SINGLE, "owner").is_none(), "the gate is shut");
    cache.drain().await;
    assert!(cache.gate().unwrap().open);
    assert!(cache.hit(SINGLE, "owner").is_none());
    kept(&cache).await;
}

/// Neither is what was being read when it lapsed.
#[tokio::test(start_paused = true)]
async fn a_lease_from_before_a_lapse_fills_nothing_after_it() {
    let near = crate::memory::Near::new(10, 1 << 20);
    let token = Token(1);
    assert!(matches!(
        near.acquire(SINGLE, 0, token),
        crate::memory::Leased::Granted
    ));
    near.empty();
    let encoded = crate::memory::EncodedValue::One(bytes::Bytes::from_static(b"old"));
    let ttl = Duration::from_mins(1);
    assert!(!near.fill((SINGLE, token), Some(("owner", encoded)), 0, ttl));
}
