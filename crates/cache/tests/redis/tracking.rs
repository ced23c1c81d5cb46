//! Invalidation connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_redis::redis::Value;
use parlance_cache::redis::{BadSettings, InvalidationConnection, Node, RedisSettings};
use parlance_cache::{Fence, InvalidationHandler, Key, Kind, Release, Remote, Tracking};
use parlance_testkit::{Redis, eventually};
use tokio::time::Instant;

use super::support::{A, B, Harness, LIST, LONG, MESSAGE, harness, one, settings};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StateChange {
    Live,
    Lost,
}

#[derive(Default)]
struct RecordingHandler {
    states: Mutex<Vec<StateChange>>,
    changed: Mutex<HashMap<Key, u64>>,
}

impl InvalidationHandler for RecordingHandler {
    fn live(&self) {
        self.states.lock().unwrap().push(StateChange::Live);
    }

    fn changed(&self, key: Key) {
        *self.changed.lock().unwrap().entry(key).or_default() += 1;
    }

    fn lost(&self) {
        self.states.lock().unwrap().push(StateChange::Lost);
    }
}

impl RecordingHandler {
    fn states(&self) -> Vec<StateChange> {
        self.states.lock().unwrap().clone()
    }

    fn changes(&self, key: Key) -> u64 {
        self.changed.lock().unwrap().get(&key).copied().unwrap_or(0)
    }
}

async fn listen(settings: &RedisSettings) -> (Arc<InvalidationConnection>, Arc<RecordingHandler>) {
    let track = InvalidationConnection::new(settings).unwrap();
    let handler = Arc::new(RecordingHandler::default());
    track.listen(Arc::clone(&handler) as Arc<dyn InvalidationHandler>);
    live(&track).await;
    (track, handler)
}

async fn live(track: &InvalidationConnection) {
    eventually(LONG, async || {
        track.barrier(Instant::now()).await.then_some(())
    })
    .await;
}

async fn listening() -> (Harness, Arc<InvalidationConnection>, Arc<RecordingHandler>) {
    let b = harness().await;
    let (track, handler) = listen(&settings(b.redis.url())).await;
    (b, track, handler)
}

/// Number of PINGs that the server has answered.
async fn pings(b: &Harness) -> u64 {
    answered(b).await.0
}

/// Number of PINGs, and of INFOs before this one, that the server has answered.
async fn answered(b: &Harness) -> (u64, u64) {
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
async fn a_barrier_ends_after_the_invalidations_of_acknowledged_writes() {
    let (b, track, handler) = listening().await;
    for round in 0..1500_u128 {
        let key = Key::new(Kind::ALL[usize::try_from(round % 3).unwrap()], round % 50);
        let before = handler.changes(key);
        b.tier
            .fence(&[(key, Fence::Delete)], &b.epoch, A)
            .await
            .unwrap();
        assert!(track.barrier(Instant::now()).await);
        let fenced = handler.changes(key);
        assert!(fenced > before, "the fence of round {round}");
        b.tier
            .release(&[(key, Release::Delete)], &b.epoch, A)
            .await
            .unwrap();
        assert!(track.barrier(Instant::now()).await);
        assert!(
            handler.changes(key) > fenced,
            "the release of round {round}"
        );
    }
    assert_eq!(handler.states(), [StateChange::Live]);
}

/// A lost fence leaves nothing to remove; the release is reported nevertheless.
#[tokio::test]
async fn a_release_without_its_fence_is_reported() {
    let (b, track, handler) = listening().await;
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
        assert_eq!(handler.changes(key), 0);
        b.tier
            .release(&[(key, release)], &b.epoch, A)
            .await
            .unwrap();
        assert!(track.barrier(Instant::now()).await);
        assert!(handler.changes(key) > 0, "{key}");
    }
}

#[tokio::test]
async fn only_leases_are_reported() {
    let (b, track, handler) = listening().await;
    for name in [
        MESSAGE.to_string(),
        "lease:{message:other}".to_owned(),
        "x".to_owned(),
    ] {
        b.ask::<Value>(&["SET", &name, "x"]).await;
    }
    assert!(track.barrier(Instant::now()).await);
    assert!(handler.changed.lock().unwrap().is_empty());
    let other = Key::new(Kind::Message, 2);
    b.filled(other, &one("{v}")).await;
    assert!(track.barrier(Instant::now()).await);
    assert!(handler.changes(other) > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_ping_serves_all_waiting_barriers() {
    let (b, track, _) = listening().await;
    let before = pings(&b).await;
    let since = Instant::now();
    let barriers = (0..1000).map(|_| track.barrier(since));
    let passed = futures_util::future::join_all(barriers).await;
    assert!(passed.into_iter().all(|passed| passed));
    assert_eq!(pings(&b).await - before, 1);
    // Times that are already confirmed need no PING.
    for _ in 0..100 {
        assert!(track.barrier(since).await);
        assert!(
            track
                .barrier(since.checked_sub(Duration::from_millis(5)).unwrap())
                .await
        );
    }
    assert_eq!(pings(&b).await - before, 1);
    // A later time needs another PING.
    assert!(track.barrier(Instant::now()).await);
    assert_eq!(pings(&b).await - before, 2);
}

/// A PING in flight was sent too early for barriers that begin now: they wait for the next one, which serves all of them.
#[tokio::test]
async fn barriers_that_begin_during_a_ping_wait_for_the_next() {
    let (b, track, _) = listening().await;
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
        // The identity is checked once a second. If that comes first, the PING behind it serves all.
        (after.1 == before.1 + 1).then_some(after.0 - before.0)
    });
    assert_eq!(pings.await, 2);
}

#[tokio::test]
async fn a_flush_of_all_keys_is_a_loss() {
    let (b, track, handler) = listening().await;
    for command in ["FLUSHALL", "FLUSHDB"] {
        let known = handler.states().len();
        b.ask::<Value>(&[command]).await;
        // Whatever the barrier returns, the loss is reported before.
        track.barrier(Instant::now()).await;
        assert_eq!(handler.states()[known], StateChange::Lost);
        live(&track).await;
        assert_eq!(
            handler.states()[known..],
            [StateChange::Lost, StateChange::Live]
        );
    }
}

#[tokio::test]
async fn a_cut_connection_is_lost_and_replaced() {
    let (b, track, handler) = listening().await;
    for round in 1..=20 {
        b.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        eventually(LONG, async || {
            (handler.states().len() >= 2 * round).then_some(())
        })
        .await;
        live(&track).await;
        let expected = [StateChange::Live, StateChange::Lost]
            .into_iter()
            .cycle()
            .take(2 * round + 1);
        assert_eq!(handler.states(), expected.collect::<Vec<_>>());
        let before = handler.changes(MESSAGE);
        eventually(LONG, async || {
            let fences = [(MESSAGE, Fence::Delete)];
            b.tier.fence(&fences, &b.epoch, B).await.ok()
        })
        .await;
        assert!(track.barrier(Instant::now()).await);
        assert!(handler.changes(MESSAGE) > before);
    }
}

/// A connection that reconnects by itself would continue without tracking.
#[tokio::test]
async fn tracking_is_enabled_on_every_connection() {
    let (b, track, _) = listening().await;
    for _ in 0..3 {
        let clients: String = b.ask(&["CLIENT", "LIST"]).await;
        // Flag `B` is tracking by prefix.
        let tracking = clients.lines().filter(|line| {
            let mut fields = line.split(' ');
            fields.any(|field| field.starts_with("flags=") && field.contains('B'))
        });
        assert_eq!(tracking.count(), 1, "{clients}");
        b.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        eventually(LONG, async || track.identity().is_none().then_some(())).await;
        live(&track).await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_lost_within_the_time_out() {
    let b = harness().await;
    let (track, handler) =
        listen(&RedisSettings::new(Node::Single(b.redis.url().to_owned()))).await;
    let states = handler.states().len();
    b.redis.pause();
    assert!(!track.barrier(Instant::now()).await);
    eventually(LONG, async || {
        (handler.states().len() > states).then_some(())
    })
    .await;
    assert_eq!(handler.states()[states], StateChange::Lost);
    assert_eq!(track.identity(), None);
    // Returns at once, because the connection is lost.
    assert!(!track.barrier(Instant::now()).await);
    b.redis.resume();
    live(&track).await;
    assert_eq!(handler.states().last(), Some(&StateChange::Live));
}

#[tokio::test]
async fn the_identity_is_that_of_the_connected_process() {
    let (b, track, handler) = listening().await;
    assert_eq!(track.identity().as_ref(), Some(&b.epoch.remote));
    b.redis.kill9();
    eventually(LONG, async || track.identity().is_none().then_some(())).await;
    assert!(!track.barrier(Instant::now()).await);
    b.redis.restart().await;
    live(&track).await;
    let new = eventually(LONG, async || b.tier.identity().await.ok()).await;
    assert_ne!(new, b.epoch.remote);
    assert_eq!(track.identity(), Some(new));
    assert_eq!(
        handler.states(),
        [StateChange::Live, StateChange::Lost, StateChange::Live]
    );
}

#[tokio::test]
async fn a_promotion_is_detected_although_the_connection_stays() {
    let (b, track, handler) = listening().await;
    b.ask::<Value>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    b.ask::<Value>(&["REPLICAOF", "NO", "ONE"]).await;
    let new = eventually(LONG, async || b.tier.identity().await.ok()).await;
    assert_ne!(new, b.epoch.remote);
    eventually(LONG, async || {
        (track.identity().as_ref() == Some(&new)).then_some(())
    })
    .await;
    assert_eq!(
        handler.states(),
        [StateChange::Live, StateChange::Lost, StateChange::Live]
    );
}

#[tokio::test]
async fn nothing_is_received_before_a_handler_listens_or_after_the_end() {
    let redis = Redis::start();
    let track = InvalidationConnection::new(&settings(redis.url())).unwrap();
    assert!(!track.barrier(Instant::now()).await);
    assert_eq!(track.identity(), None);
    let handler = Arc::new(RecordingHandler::default());
    track.listen(Arc::clone(&handler) as Arc<dyn InvalidationHandler>);
    live(&track).await;
    drop(track);
    assert_eq!(handler.states(), [StateChange::Live, StateChange::Lost]);
    eventually(LONG, async || {
        (Arc::strong_count(&handler) == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cluster_is_refused() {
    let cluster = RedisSettings::new(Node::Cluster(vec!["redis://127.0.0.1".to_owned()]));
    assert!(matches!(
        InvalidationConnection::new(&cluster),
        Err(BadSettings::Tracking)
    ));
}
