//! What nobody asks for any more.

use std::time::Duration;

use tokio::time::sleep;

use super::play::Single;
use super::redis::SINGLE;
use super::single_flight::serving;
use crate::cache::ReadRequest;
use crate::settings::Backend;

#[tokio::test(start_paused = true)]
async fn what_has_expired_leaves_within_a_minute_by_itself() {
    let cache = serving(Backend::Memory).await;
    let asked = ReadRequest {
        key: SINGLE,
        owner: "owner",
        max_staleness: None,
    };
    let load = || async { Ok::<_, String>(Some(1)) };
    cache.read(asked, Single, load).await.unwrap();
    let near = cache.near().unwrap();
    assert_eq!(near.keys(), [SINGLE]);
    sleep(cache.settings.ttls.of(SINGLE.kind())).await;
    sleep(Duration::from_mins(1)).await;
    assert_eq!(near.keys(), []);
}
