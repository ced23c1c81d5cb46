//! Hearing what others write.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_redis::redis::Value;
use parlance_cache::redis::{BadSettings, InvalidationConnection, Node, RedisSettings};
use parlance_cache::{Fence, InvalidationHandler, Key, Kind, Release, Remote, Tracking};
use parlance_testkit::{Redis, eventually};
use tokio::time::Instant;

use super::support::{A, B, Bench, LIST, LONG, MESSAGE, bench, one, settings};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Live,
    Lost,
}

#[derive(Default)]
struct Ears {
    told: Mutex<Vec<Told>>,
    changed: Mutex<HashMap<Key, u64>>,
}

impl InvalidationHandler for Ears {
    fn live(&self) {
        self.told.lock().unwrap().push(Told::Live);
    }

    fn changed(&self, key: Key) {
        *self.changed.lock().unwrap().entry(key).or_default() += 1;
    }

    fn lost(&self) {
        self.told.lock().unwrap().push(Told::Lost);
    }
}

impl Ears {
    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    fn changes(&self, key: Key) -> u64 {
        self.changed.lock().unwrap().get(&key).copied().unwrap_or(0)
    }
}

async fn listen(settings: &RedisSettings) -> (Arc<InvalidationConnection>, Arc<Ears>) {
    let track = InvalidationConnection::new(settings).unwrap();
    let ears = Arc::new(Ears::default());
    track.listen(Arc::clone(&ears) as Arc<dyn InvalidationHandler>);
    live(&track).await;
    (track, ears)
}

async fn live(track: &InvalidationConnection) {
    eventually(LONG, async || {
        track.barrier(Instant::now()).await.then_some(())
    })
    .await;
}

async fn hearing() -> (Bench, Arc<InvalidationConnection>, Arc<Ears>) {
    let b = bench().await;
    let (track, ears) = listen(&settings(b.redis.url())).await;
    (b, track, ears)
}

/// How many PINGs the server has answered.
async fn pings(b: &Bench) -> u64 {
    answered(b).await.0
}

/// How many PINGs, and how many INFOs before this one.
async fn answered(b: &Bench) -> (u64, u64) {
    let info: String = b.ask(&["INFO", "commandstats"]).await;
    let calls = |command: &str| {
        let calls = info.lines().find_map(|line| {
            let of = line.strip_prefix("cmdstat_")?.strip_prefix(command)?;
            of.strip_prefix(":calls=")?.split(',').next()?.parse().ok()
        });
        calls.unwrap_or(0)
    };
    (calls("ping"), calls("info"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_is_heard_before_the_barrier_ends() {
    let (b, track, ears) = hearing().await;
    for round in 0..1500_u128 {
        let key = Key::new(Kind::ALL[usize::try_from(round % 3).unwrap()], round % 50);
        let before = ears.changes(key);
        b.tier
            .fence(&[(key, Fence::Delete)], &b.epoch, A)
            .await
            .unwrap();
        assert!(track.barrier(Instant::now()).await);
        let fenced = ears.changes(key);
        assert!(fenced > before, "the fence of round {round}");
        b.tier
            .release(&[(key, Release::Delete)], &b.epoch, A)
            .await
            .unwrap();
        assert!(track.barrier(Instant::now()).await);
        assert!(ears.changes(key) > fenced, "the release of round {round}");
    }
    assert_eq!(ears.told(), [Told::Live]);
}

/// A fence that was lost leaves nothing to remove; the release is heard all the same.
#[tokio::test]
async fn a_release_without_its_fence_is_heard() {
    let (b, track, ears) = hearing().await;
    for (key, release) in [
        (MESSAGE, Release::Delete),
        (
            LIST,
            Release::Append {
                sequence: 2,
                element: "{\"sequence\":2}".into(),
                ttl: LONG,
            },
        ),
    ] {
        assert_eq!(ears.changes(key), 0);
        b.tier
            .release(&[(key, release)], &b.epoch, A)
            .await
            .unwrap();
        assert!(track.barrier(Instant::now()).await);
        assert!(ears.changes(key) > 0, "{key}");
    }
}

#[tokio::test]
async fn only_leases_are_heard_of() {
    let (b, track, ears) = hearing().await;
    for name in [
        MESSAGE.to_string(),
        "lease:{message:other}".to_owned(),
        "x".to_owned(),
    ] {
        b.ask::<Value>(&["SET", &name, "x"]).await;
    }
    assert!(track.barrier(Instant::now()).await);
    assert!(ears.changed.lock().unwrap().is_empty());
    let other = Key::new(Kind::Message, 2);
    b.filled(other, &one("{v}")).await;
    assert!(track.barrier(Instant::now()).await);
    assert!(ears.changes(other) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_ping_serves_all_who_wait() {
    let (b, track, _) = hearing().await;
    let before = pings(&b).await;
    let since = Instant::now();
    let barriers = (0..1000).map(|_| track.barrier(since));
    let passed = futures_util::future::join_all(barriers).await;
    assert!(passed.into_iter().all(|passed| passed));
    assert_eq!(pings(&b).await - before, 1);
    // What was known then is known: no PING for it.
    for _ in 0..100 {
        assert!(track.barrier(since).await);
        assert!(
            track
                .barrier(since.checked_sub(Duration::from_millis(5)).unwrap())
                .await
        );
    }
    assert_eq!(pings(&b).await - before, 1);
    // Who asks about a later moment needs another one.
    assert!(track.barrier(Instant::now()).await);
    assert_eq!(pings(&b).await - before, 2);
}

/// While a PING is under way it is too early for who comes then: he waits for the next, which serves all of them.
#[tokio::test]
async fn who_comes_during_a_ping_waits_for_the_next() {
    let (b, track, _) = hearing().await;
    let during = async || {
        b.redis.pause();
        let later = async {
            // The first PING is with the server by now, which does not read it.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            let barriers = (0..100).map(|_| track.barrier(Instant::now()));
            let resume = async { b.redis.resume() };
            let (all, ()) = tokio::join!(futures_util::future::join_all(barriers), resume);
            all
        };
        let (first, later) = tokio::join!(track.barrier(Instant::now()), later);
        assert!(first && later.into_iter().all(|passed| passed));
    };
    let pings = eventually(LONG, async || {
        let before = answered(&b).await;
        during().await;
        let after = answered(&b).await;
        // Once a second it asks who answers. Where that comes first, the PING behind it serves all.
        (after.1 == before.1 + 1).then_some(after.0 - before.0)
    });
    assert_eq!(pings.await, 2);
}

#[tokio::test]
async fn all_is_lost_when_all_keys_go() {
    let (b, track, ears) = hearing().await;
    for command in ["FLUSHALL", "FLUSHDB"] {
        let known = ears.told().len();
        b.ask::<Value>(&[command]).await;
        // Whatever the barrier says, the loss was told before it said so.
        track.barrier(Instant::now()).await;
        assert_eq!(ears.told()[known], Told::Lost);
        live(&track).await;
        assert_eq!(ears.told()[known..], [Told::Lost, Told::Live]);
    }
}

#[tokio::test]
async fn a_cut_connection_is_lost_and_another_one_hears() {
    let (b, track, ears) = hearing().await;
    for round in 1..=20 {
        b.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        eventually(LONG, async || {
            (ears.told().len() >= 2 * round).then_some(())
        })
        .await;
        live(&track).await;
        let expected = [Told::Live, Told::Lost]
            .into_iter()
            .cycle()
            .take(2 * round + 1);
        assert_eq!(ears.told(), expected.collect::<Vec<_>>());
        let before = ears.changes(MESSAGE);
        eventually(LONG, async || {
            let fences = [(MESSAGE, Fence::Delete)];
            b.tier.fence(&fences, &b.epoch, B).await.ok()
        })
        .await;
        assert!(track.barrier(Instant::now()).await);
        assert!(ears.changes(MESSAGE) > before);
    }
}

/// One that reconnects by itself would go on without it.
#[tokio::test]
async fn it_tracks_on_every_connection() {
    let (b, track, _) = hearing().await;
    for _ in 0..3 {
        let clients: String = b.ask(&["CLIENT", "LIST"]).await;
        // Of the flags, `B` is the one of tracking by prefix.
        let hearing = clients.lines().filter(|line| {
            let mut fields = line.split(' ');
            fields.any(|field| field.starts_with("flags=") && field.contains('B'))
        });
        assert_eq!(hearing.count(), 1, "{clients}");
        b.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        eventually(LONG, async || track.identity().is_none().then_some(())).await;
        live(&track).await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_lost_within_the_time_out() {
    let b = bench().await;
    let (track, ears) = listen(&RedisSettings::new(Node::Single(b.redis.url().to_owned()))).await;
    let told = ears.told().len();
    b.redis.pause();
    assert!(!track.barrier(Instant::now()).await);
    eventually(LONG, async || (ears.told().len() > told).then_some(())).await;
    assert_eq!(ears.told()[told], Told::Lost);
    assert_eq!(track.identity(), None);
    // At once, now that it is lost.
    assert!(!track.barrier(Instant::now()).await);
    b.redis.resume();
    live(&track).await;
    assert_eq!(ears.told().last(), Some(&Told::Live));
}

#[tokio::test]
async fn it_tells_which_process_it_hears() {
    let (b, track, ears) = hearing().await;
    assert_eq!(track.identity().as_ref(), Some(&b.epoch.remote));
    b.redis.kill9();
    eventually(LONG, async || track.identity().is_none().then_some(())).await;
    assert!(!track.barrier(Instant::now()).await);
    b.redis.restart().await;
    live(&track).await;
    let new = eventually(LONG, async || b.tier.identity().await.ok()).await;
    assert_ne!(new, b.epoch.remote);
    assert_eq!(track.identity(), Some(new));
    assert_eq!(ears.told(), [Told::Live, Told::Lost, Told::Live]);
}

#[tokio::test]
async fn a_promotion_is_noticed_though_the_connection_stays() {
    let (b, track, ears) = hearing().await;
    b.ask::<Value>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    b.ask::<Value>(&["REPLICAOF", "NO", "ONE"]).await;
    let new = eventually(LONG, async || b.tier.identity().await.ok()).await;
    assert_ne!(new, b.epoch.remote);
    eventually(LONG, async || {
        (track.identity().as_ref() == Some(&new)).then_some(())
    })
    .await;
    assert_eq!(ears.told(), [Told::Live, Told::Lost, Told::Live]);
}

#[tokio::test]
async fn nothing_is_heard_before_somebody_listens_or_after_it_ends() {
    let redis = Redis::start();
    let track = InvalidationConnection::new(&settings(redis.url())).unwrap();
    assert!(!track.barrier(Instant::now()).await);
    assert_eq!(track.identity(), None);
    let ears = Arc::new(Ears::default());
    track.listen(Arc::clone(&ears) as Arc<dyn InvalidationHandler>);
    live(&track).await;
    drop(track);
    assert_eq!(ears.told(), [Told::Live, Told::Lost]);
    eventually(LONG, async || (Arc::strong_count(&ears) == 1).then_some(())).await;
}

#[tokio::test]
async fn a_cluster_is_not_listened_to() {
    let cluster = RedisSettings::new(Node::Cluster(vec!["redis://127.0.0.1".to_owned()]));
    assert!(matches!(
        InvalidationConnection::new(&cluster),
        Err(BadSettings::Tracking)
    ));
}
