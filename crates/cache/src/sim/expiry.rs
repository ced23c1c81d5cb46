//! Expiry of values that are not read any more.

use std::time::Duration;

use tokio::time::sleep;

use super::play::Single;
use super::redis::SINGLE;
use super::single_flight::serving;
use crate::cache::ReadRequest;
use crate::settings::Backend;

#[tokio::test(start_paused = true)]
async fn expired_values_are_removed_within_a_minute() {
    let cache = serving(Backend::Memory).await;
    let lookup = ReadRequest {
        key: SINGLE,
        owner: "owner",
        max_staleness: None,
    };
    let load = || async { Ok::<_, String>(Some(1)) };
    cache.read(lookup, Single, load).await.unwrap();
    let memory = cache.memory().unwrap();
    assert_eq!(memory.keys(), [SINGLE]);
    sleep(cache.settings.ttls.of(SINGLE.kind())).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(memory.keys(), []);
}
