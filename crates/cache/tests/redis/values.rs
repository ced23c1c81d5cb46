//! Values and their leases: each rule of the scripts, and the fault that it prevents.

use bytes::Bytes;
use deadpool_redis::redis::Value;
use parlance_cache::{Acquired, Fence, Key, Kind, Raw, Release, Remote};

use super::support::{A, B, C, Harness, MESSAGE, TTL, harness, one, reader, writer};

const DELETE: Fence = Fence::Delete;

#[tokio::test]
async fn a_value_is_filled_under_a_lease_and_read() {
    let b = harness().await;
    assert_eq!(b.get(MESSAGE).await, None);
    assert_eq!(b.acquire(MESSAGE, A).await, Acquired::Granted);
    assert_eq!(b.lease(MESSAGE).await, [reader(A)]);
    assert!(b.fill(MESSAGE, A, &one("{v}")).await);
    assert_eq!(b.get(MESSAGE).await, Some(one("{v}")));
    assert!(b.lease(MESSAGE).await.is_empty());
    let left: i64 = b.ask(&["PTTL", &MESSAGE.to_string()]).await;
    let ttl = i64::try_from(TTL.as_millis()).unwrap();
    assert!((ttl - 60_000..=ttl).contains(&left), "{left}");
    // A later reader gets the value and leaves no lease.
    assert_eq!(b.acquire(MESSAGE, B).await, Acquired::Value(one("{v}")));
    assert!(b.lease(MESSAGE).await.is_empty());
}

/// Remaining time to live of a token of the lease, and of the lease itself.
async fn left(b: &Harness, member: &str) -> (i64, i64) {
    let name = MESSAGE.lease();
    let score: f64 = b.ask(&["ZSCORE", &name, member]).await;
    let (seconds, micros): (f64, f64) = b.ask(&["TIME"]).await;
    let pttl: i64 = b.ask(&["PTTL", &name]).await;
    let token = format!("{:.0}", score - seconds * 1000.0 - micros / 1000.0);
    (token.parse().unwrap(), pttl)
}

#[tokio::test]
async fn a_lease_expires_after_two_seconds_and_a_fence_after_ten() {
    let b = harness().await;
    b.acquire(MESSAGE, A).await;
    let (token, lease) = left(&b, &reader(A)).await;
    assert!((1..=2000).contains(&token) && (1..=2000).contains(&lease));
    let fences = [(MESSAGE, DELETE)];
    b.tier.fence(&fences, &b.epoch, B).await.unwrap();
    let (token, lease) = left(&b, &writer(B)).await;
    assert!((2001..=10_000).contains(&token) && (2001..=10_000).contains(&lease));
}

#[tokio::test]
async fn a_later_reader_takes_over_the_lease() {
    let b = harness().await;
    b.acquire(MESSAGE, A).await;
    assert_eq!(b.acquire(MESSAGE, B).await, Acquired::Granted);
    assert_eq!(b.lease(MESSAGE).await, [reader(B)]);
    assert!(!b.fill(MESSAGE, A, &one("{old}")).await);
    assert!(!b.exists(MESSAGE).await);
    assert!(b.fill(MESSAGE, B, &one("{new}")).await);
}

#[tokio::test]
async fn an_expired_lease_fills_nothing() {
    let b = harness().await;
    b.acquire(MESSAGE, A).await;
    b.expire(MESSAGE, &reader(A)).await;
    assert!(!b.fill(MESSAGE, A, &one("{v}")).await);
    assert!(!b.exists(MESSAGE).await);
}

#[tokio::test]
async fn a_lease_permits_one_fill() {
    let b = harness().await;
    b.acquire(MESSAGE, A).await;
    assert!(b.fill(MESSAGE, A, &one("{v}")).await);
    assert!(!b.fill(MESSAGE, A, &one("{w}")).await);
    assert_eq!(b.get(MESSAGE).await, Some(one("{v}")));
}

#[tokio::test]
async fn a_fence_deletes_the_value_revokes_the_lease_and_refuses_readers() {
    let b = harness().await;
    b.filled(MESSAGE, &one("{v}")).await;
    b.tier
        .fence(&[(MESSAGE, DELETE)], &b.epoch, A)
        .await
        .unwrap();
    assert!(!b.exists(MESSAGE).await);
    assert_eq!(b.acquire(MESSAGE, B).await, Acquired::Busy);
    assert_eq!(b.lease(MESSAGE).await, [writer(A)]);
    assert!(!b.fill(MESSAGE, B, &one("{old}")).await);
    // A reader from before the fence.
    let other = Key::new(Kind::Message, 1);
    b.acquire(other, B).await;
    b.tier.fence(&[(other, DELETE)], &b.epoch, A).await.unwrap();
    assert!(!b.fill(other, B, &one("{old}")).await);
    assert!(!b.exists(other).await);
}

#[tokio::test]
async fn an_expired_fence_admits_readers() {
    let b = harness().await;
    b.tier
        .fence(&[(MESSAGE, DELETE)], &b.epoch, A)
        .await
        .unwrap();
    b.expire(MESSAGE, &writer(A)).await;
    assert_eq!(b.acquire(MESSAGE, B).await, Acquired::Granted);
    assert_eq!(b.lease(MESSAGE).await, [reader(B)]);
}

#[tokio::test]
async fn a_release_keeps_the_fences_of_other_writers() {
    let b = harness().await;
    let keys = [(MESSAGE, DELETE)];
    b.tier.fence(&keys, &b.epoch, A).await.unwrap();
    b.tier.fence(&keys, &b.epoch, B).await.unwrap();
    let release = [(MESSAGE, Release::Delete)];
    b.tier.release(&release, &b.epoch, A).await.unwrap();
    assert_eq!(b.lease(MESSAGE).await, [writer(B)]);
    assert_eq!(b.acquire(MESSAGE, C).await, Acquired::Busy);
    b.tier.release(&release, &b.epoch, B).await.unwrap();
    assert!(b.lease(MESSAGE).await.is_empty());
    assert_eq!(b.acquire(MESSAGE, C).await, Acquired::Granted);
}

/// The fence was lost, so one reader has filled the value from before the commit, and another is about to.
#[tokio::test]
async fn a_release_deletes_values_filled_after_a_lost_fence() {
    let b = harness().await;
    b.tier
        .fence(&[(MESSAGE, DELETE)], &b.epoch, A)
        .await
        .unwrap();
    b.ask::<i64>(&["DEL", &MESSAGE.lease()]).await;
    b.filled(MESSAGE, &one("{old}")).await;
    let release = [(MESSAGE, Release::Delete)];
    b.tier.release(&release, &b.epoch, A).await.unwrap();
    assert!(!b.exists(MESSAGE).await);
    b.acquire(MESSAGE, B).await;
    b.tier.release(&release, &b.epoch, A).await.unwrap();
    assert!(!b.fill(MESSAGE, B, &one("{old}")).await);
    assert!(!b.exists(MESSAGE).await);
}

#[tokio::test]
async fn only_exactly_the_unusable_value_is_deleted() {
    let b = harness().await;
    let name = MESSAGE.to_string();
    let acquire = async |token, spoiled: &Raw| {
        let asked = b.tier.acquire(MESSAGE, &b.epoch, token, Some(spoiled));
        asked.await.unwrap()
    };
    b.ask::<Value>(&["SET", &name, "{good}"]).await;
    let other = acquire(A, &one("{bad}")).await;
    assert_eq!(other, Acquired::Value(one("{good}")));
    assert_eq!(acquire(A, &one("{good}")).await, Acquired::Granted);
    assert!(!b.exists(MESSAGE).await);
    // Also under a fence, although no reader may fill then.
    b.tier
        .fence(&[(MESSAGE, DELETE)], &b.epoch, B)
        .await
        .unwrap();
    b.ask::<Value>(&["SET", &name, "{bad}"]).await;
    assert_eq!(acquire(A, &one("{bad}")).await, Acquired::Busy);
    assert!(!b.exists(MESSAGE).await);
}

#[tokio::test]
async fn values_need_not_be_text() {
    let b = harness().await;
    let bytes = Raw::One(Bytes::from_static(b"\r\n\0\xff{\"epoch\":1,"));
    b.filled(MESSAGE, &bytes).await;
    assert_eq!(b.get(MESSAGE).await, Some(bytes.clone()));
    let asked = b.tier.acquire(MESSAGE, &b.epoch, A, Some(&bytes));
    assert_eq!(asked.await.unwrap(), Acquired::Granted);
}

#[tokio::test]
async fn a_value_of_the_wrong_type_is_found_and_deleted() {
    let b = harness().await;
    let name = MESSAGE.to_string();
    for spoiled in [None, Some(one(""))] {
        b.ask::<i64>(&["HSET", &name, "a", "b"]).await;
        assert_eq!(b.get(MESSAGE).await, Some(one("")));
        let asked = b.tier.acquire(MESSAGE, &b.epoch, A, spoiled.as_ref());
        assert_eq!(asked.await.unwrap(), Acquired::Granted);
        assert!(!b.exists(MESSAGE).await);
    }
    // Another reader was faster: the present value is usable.
    b.ask::<Value>(&["SET", &name, "{good}"]).await;
    let spoiled = one("");
    let asked = b.tier.acquire(MESSAGE, &b.epoch, A, Some(&spoiled));
    assert_eq!(asked.await.unwrap(), Acquired::Value(one("{good}")));
    // An empty text is unusable too.
    b.ask::<Value>(&["SET", &name, ""]).await;
    let asked = b.tier.acquire(MESSAGE, &b.epoch, A, Some(&spoiled));
    assert_eq!(asked.await.unwrap(), Acquired::Granted);
}

#[tokio::test]
async fn a_lease_of_the_wrong_type_is_replaced() {
    let b = harness().await;
    b.ask::<Value>(&["SET", &MESSAGE.lease(), "x"]).await;
    assert_eq!(b.acquire(MESSAGE, A).await, Acquired::Granted);
    b.ask::<Value>(&["SET", &MESSAGE.lease(), "x"]).await;
    b.tier
        .fence(&[(MESSAGE, DELETE)], &b.epoch, A)
        .await
        .unwrap();
    assert_eq!(b.lease(MESSAGE).await, [writer(A)]);
    b.ask::<Value>(&["SET", &MESSAGE.lease(), "x"]).await;
    let release = [(MESSAGE, Release::Delete)];
    b.tier.release(&release, &b.epoch, A).await.unwrap();
    assert!(b.lease(MESSAGE).await.is_empty());
}

#[tokio::test]
async fn a_batch_of_values_is_read_in_order() {
    let b = harness().await;
    let keys: Vec<Key> = (1..=20).map(|id| Key::new(Kind::Message, id)).collect();
    for key in keys.iter().step_by(2) {
        let value = Raw::One(key.to_string().into());
        b.filled(*key, &value).await;
    }
    b.ask::<i64>(&["HSET", &keys[1].to_string(), "a", "b"])
        .await;
    let values = b.tier.get_many(&keys, &b.epoch).await.unwrap();
    assert_eq!(values.len(), keys.len());
    for (at, (key, value)) in keys.iter().zip(values).enumerate() {
        let expected = (at % 2 == 0).then(|| Raw::One(key.to_string().into()));
        assert_eq!(value, expected, "{key}");
    }
    assert!(b.tier.get_many(&[], &b.epoch).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_of_keys_is_fenced_and_released() {
    let b = harness().await;
    let keys: Vec<Key> = (1..=20).map(|id| Key::new(Kind::Message, id)).collect();
    let fences: Vec<_> = keys.iter().map(|key| (*key, DELETE)).collect();
    b.tier.fence(&fences, &b.epoch, A).await.unwrap();
    for key in &keys {
        assert_eq!(b.acquire(*key, B).await, Acquired::Busy);
    }
    let releases: Vec<_> = keys.iter().map(|key| (*key, Release::Delete)).collect();
    b.tier.release(&releases, &b.epoch, A).await.unwrap();
    for key in &keys {
        assert_eq!(b.acquire(*key, B).await, Acquired::Granted);
    }
}

#[tokio::test]
async fn a_scan_finds_only_values_of_this_service() {
    let b = harness().await;
    let kinds = [Kind::Message, Kind::Conversation];
    let mut keys: Vec<Key> = (1..=700)
        .flat_map(|id| kinds.map(|kind| Key::new(kind, id)))
        .collect();
    for key in &keys {
        b.ask::<Value>(&["SET", &key.to_string(), "{}"]).await;
    }
    let list = Key::new(Kind::Messages, 5);
    b.ask::<i64>(&["RPUSH", &list.to_string(), "{}"]).await;
    keys.push(list);
    for other in [
        "message:1",
        "session:1",
        "conversation:x:messages",
        "\u{e9}",
    ] {
        b.ask::<Value>(&["SET", other, "x"]).await;
    }
    b.acquire(Key::new(Kind::Message, 9999), A).await;
    let scan = async |pattern: &str| {
        let mut found = b.tier.scan(pattern).await.unwrap();
        found.sort_unstable();
        found
    };
    keys.sort_unstable();
    assert_eq!(scan("*").await, keys);
    assert_eq!(scan("*:messages").await, [list]);
    assert_eq!(scan("message:*").await.len(), 700);
    assert_eq!(scan(&Key::new(Kind::Message, 3).to_string()).await.len(), 1);
    assert!(scan("nothing").await.is_empty());
}

#[tokio::test]
async fn statistics_are_read() {
    let b = harness().await;
    b.ask::<Value>(&["CONFIG", "SET", "maxmemory", "123456789"])
        .await;
    b.filled(MESSAGE, &one("{v}")).await;
    let stats = b.tier.stats().await.unwrap();
    assert_eq!(
        (stats.max_bytes, stats.evicted, stats.keys),
        (123_456_789, 0, 1)
    );
    assert!(stats.used_bytes > 100_000, "{stats:?}");
}

#[tokio::test]
async fn flushed_scripts_are_loaded_again() {
    let b = harness().await;
    let flush = async || b.ask::<Value>(&["SCRIPT", "FLUSH"]).await;
    flush().await;
    assert_eq!(b.acquire(MESSAGE, A).await, Acquired::Granted);
    flush().await;
    assert!(b.fill(MESSAGE, A, &one("{v}")).await);
    let keys: Vec<Key> = (1..=9).map(|id| Key::new(Kind::Message, id)).collect();
    let fences: Vec<_> = keys.iter().map(|key| (*key, DELETE)).collect();
    flush().await;
    b.tier.fence(&fences, &b.epoch, A).await.unwrap();
    for key in &keys {
        assert_eq!(b.lease(*key).await, [writer(A)]);
    }
    flush().await;
    let releases: Vec<_> = keys.iter().map(|key| (*key, Release::Delete)).collect();
    b.tier.release(&releases, &b.epoch, A).await.unwrap();
    for key in &keys {
        assert!(b.lease(*key).await.is_empty());
    }
}
