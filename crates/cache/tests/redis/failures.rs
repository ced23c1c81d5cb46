//! Failures: no call is answered by the wrong process, no call waits, and the tier recovers by itself.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{self, Client, Value};
use parlance_cache::redis::RedisTier;
use parlance_cache::{
    Acquired, BreakerState, Epoch, Fault, Fence, Release, Remote, RemoteHealth as _,
};
use parlance_testkit::{ClosedPort, Redis, eventually};

use super::support::{
    A, Harness, LONG, MESSAGE, TTL, direct, epoch, harness, harness_with, one, settings,
};

const SHORT: Duration = Duration::from_millis(50);

/// Every call under an epoch.
async fn all_calls(tier: &RedisTier, epoch: &Epoch) -> [Result<(), Fault>; 6] {
    [
        tier.get(MESSAGE, epoch).await.map(drop),
        tier.get_many(&[MESSAGE], epoch).await.map(drop),
        tier.acquire(MESSAGE, epoch, A, None).await.map(drop),
        tier.fill(MESSAGE, epoch, A, &one("{v}"), TTL)
            .await
            .map(drop),
        tier.fence(&[(MESSAGE, Fence::Delete)], epoch, A).await,
        tier.release(&[(MESSAGE, Release::Delete)], epoch, A).await,
    ]
}

#[tokio::test]
async fn a_call_for_another_process_is_not_sent() {
    let b = harness().await;
    b.filled(MESSAGE, &one("{v}")).await;
    let other = Epoch {
        number: b.epoch.number,
        remote: Arc::from("another:one"),
    };
    for result in all_calls(&b.tier, &other).await {
        assert_eq!(result, Err(Fault::Elsewhere));
    }
    assert_eq!(b.get(MESSAGE).await, Some(one("{v}")));
    assert!(b.lease(MESSAGE).await.is_empty());
}

#[tokio::test]
async fn a_restarted_server_is_another_process() {
    let b = harness().await;
    b.redis.kill9();
    b.redis.restart().await;
    // The first call may find the broken connection; no call is ever answered.
    eventually(LONG, async || {
        let answer = b.tier.get(MESSAGE, &b.epoch).await;
        assert!(answer.is_err(), "{answer:?}");
        (answer == Err(Fault::Elsewhere)).then_some(())
    })
    .await;
    let new = epoch(&b.tier, 8).await;
    assert_ne!(new.remote, b.epoch.remote);
    for result in all_calls(&b.tier, &new).await {
        assert_eq!(result, Ok(()));
    }
    for result in all_calls(&b.tier, &b.epoch).await {
        assert_eq!(result, Err(Fault::Elsewhere));
    }
}

async fn replicate(of: &Harness, master: &Redis) {
    let port = master
        .url()
        .rsplit(':')
        .next()
        .unwrap()
        .trim_end_matches('/');
    of.ask::<Value>(&["REPLICAOF", "127.0.0.1", port]).await;
    eventually(LONG, async || {
        let info: String = of.ask(&["INFO", "replication"]).await;
        info.contains("master_link_status:up").then_some(())
    })
    .await;
}

/// The run id alone stays the same when a server is demoted and promoted again.
#[tokio::test]
async fn a_promoted_process_counts_as_another_although_the_connection_stays() {
    let b = harness().await;
    let other = Redis::start();
    replicate(&b, &other).await;
    let refused = b.tier.identity().await;
    assert!(matches!(refused, Err(Fault::Away(_))), "{refused:?}");
    b.ask::<Value>(&["REPLICAOF", "NO", "ONE"]).await;
    let new = epoch(&b.tier, 8).await;
    let run = |id: &str| id.split(':').next().unwrap().to_owned();
    assert_eq!(run(&new.remote), run(&b.epoch.remote));
    assert_ne!(new.remote, b.epoch.remote);
    for result in all_calls(&b.tier, &b.epoch).await {
        assert_eq!(result, Err(Fault::Elsewhere));
    }
    assert_eq!(b.tier.get(MESSAGE, &new).await, Ok(None));
}

/// The identity is not queried in between, and the connections stay.
#[tokio::test]
async fn a_new_identity_is_applied_to_every_connection() {
    let b = harness().await;
    let other = Redis::start();
    let clients: i64 = client_count(&b).await;
    replicate(&b, &other).await;
    b.ask::<Value>(&["REPLICAOF", "NO", "ONE"]).await;
    let new = epoch(&b.tier, 8).await;
    assert_ne!(new.remote, b.epoch.remote);
    assert_eq!(client_count(&b).await, clients);
    for id in 0..8 {
        let key = parlance_cache::Key::new(parlance_cache::Kind::Message, id);
        assert_eq!(b.tier.get(key, &b.epoch).await, Err(Fault::Elsewhere));
        assert_eq!(b.tier.get(key, &new).await, Ok(None));
    }
}

async fn client_count(b: &Harness) -> i64 {
    let list: String = b.ask(&["CLIENT", "LIST", "TYPE", "normal"]).await;
    i64::try_from(list.lines().count()).unwrap()
}

#[tokio::test]
async fn a_demoted_master_is_refused_and_disconnected() {
    let b = harness().await;
    let other = Redis::start();
    replicate(&b, &other).await;
    let fenced = b.tier.fence(&[(MESSAGE, Fence::Delete)], &b.epoch, A).await;
    assert!(fenced.is_err());
    // Reads are refused too, once the connection has been reopened.
    eventually(LONG, async || {
        let _ = b.tier.fence(&[(MESSAGE, Fence::Delete)], &b.epoch, A).await;
        matches!(b.tier.get(MESSAGE, &b.epoch).await, Err(Fault::Away(_))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn cut_connections_are_replaced_without_extra_connections() {
    let b = harness().await;
    let before = client_count(&b).await;
    for _ in 0..5 {
        b.ask::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"])
            .await;
        // Many concurrent calls find it broken.
        let calls = (0..100).map(|_| b.tier.get(MESSAGE, &b.epoch));
        futures_util::future::join_all(calls).await;
        eventually(LONG, async || b.tier.identity().await.ok()).await;
        eventually(LONG, async || {
            (client_count(&b).await == before).then_some(())
        })
        .await;
    }
    assert_eq!(b.get(MESSAGE).await, None);
}

#[tokio::test]
async fn an_absent_server_is_no_error_until_a_call() {
    let absent = ClosedPort::reserve();
    let url = format!("redis://{}/", absent.address());
    let tier = RedisTier::connect(&settings(&url)).unwrap();
    let epoch = Epoch {
        number: 1,
        remote: Arc::from("absent"),
    };
    let answer = tier.get(MESSAGE, &epoch).await;
    assert!(matches!(answer, Err(Fault::Away(_))), "{answer:?}");
    assert!(!tier.reachable());
    eventually(LONG, async || {
        let _ = tier.identity().await;
        (tier.breaker() == BreakerState::Open).then_some(())
    })
    .await;
    assert_eq!(tier.get(MESSAGE, &epoch).await, Err(Fault::Open));
}

#[tokio::test]
async fn a_dead_server_opens_the_breaker_and_its_restart_closes_it() {
    let b = harness().await;
    b.redis.kill9();
    eventually(LONG, async || {
        let answer = b.tier.get(MESSAGE, &b.epoch).await;
        assert!(
            matches!(answer, Err(Fault::Away(_) | Fault::Open)),
            "{answer:?}"
        );
        (answer == Err(Fault::Open)).then_some(())
    })
    .await;
    for result in all_calls(&b.tier, &b.epoch).await {
        assert_eq!(result, Err(Fault::Open));
    }
    assert_eq!(b.tier.identity().await, Err(Fault::Open));
    assert!(!b.tier.reachable());
    b.redis.restart().await;
    // Without calls, the probe alone closes the breaker.
    eventually(LONG, async || {
        (b.tier.breaker() == BreakerState::Closed).then_some(())
    })
    .await;
    let new = epoch(&b.tier, 8).await;
    assert_eq!(b.tier.get(MESSAGE, &new).await, Ok(None));
    assert!(b.tier.reachable());
}

#[tokio::test]
async fn a_hanging_server_opens_the_breaker_until_it_answers() {
    let b = harness_with(|settings| settings.timeout = SHORT).await;
    b.redis.pause();
    let mut slow = 0;
    eventually(LONG, async || match b.tier.get(MESSAGE, &b.epoch).await {
        Err(Fault::Slow) => {
            slow += 1;
            None
        }
        Err(Fault::Open) => Some(()),
        other => panic!("{other:?}"),
    })
    .await;
    assert_eq!(slow, 5);
    b.redis.resume();
    eventually(LONG, async || {
        (b.tier.breaker() == BreakerState::Closed).then_some(())
    })
    .await;
    // It still is the same process.
    eventually(LONG, async || b.tier.get(MESSAGE, &b.epoch).await.ok()).await;
}

#[tokio::test]
async fn a_cancelled_call_costs_no_connection() {
    let b = harness().await;
    let clients: String = b.ask(&["CLIENT", "LIST", "TYPE", "normal"]).await;
    for _ in 0..50 {
        let call = b.tier.get(MESSAGE, &b.epoch);
        tokio::select! {
            biased;
            _ = call => {}
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!(b.get(MESSAGE).await, None);
    let ids = |list: &str| -> Vec<String> {
        let mut ids: Vec<_> = list
            .lines()
            .map(|l| l.split(' ').next().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    let after: String = b.ask(&["CLIENT", "LIST", "TYPE", "normal"]).await;
    assert_eq!(ids(&after), ids(&clients));
}

#[tokio::test]
async fn the_tasks_end_with_the_tier() {
    let b = harness().await;
    let Harness {
        redis: _redis,
        tier,
        direct: connection,
        ..
    } = b;
    drop(tier);
    eventually(LONG, async || {
        let mut list = redis::cmd("CLIENT");
        list.arg("LIST").arg("TYPE").arg("normal");
        let list: String = list.query_async(&mut connection.clone()).await.unwrap();
        (list.lines().count() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_password_is_used_and_never_shown_in_errors() {
    let server = Redis::start_with(["--requirepass", "s3cret-of-ours"]);
    let with = |password: &str| {
        server
            .url()
            .replace("redis://", &format!("redis://:{password}@"))
    };
    let tier = RedisTier::connect(&settings(&with("s3cret-of-ours"))).unwrap();
    let epoch = epoch(&tier, 1).await;
    assert_eq!(
        tier.acquire(MESSAGE, &epoch, A, None).await,
        Ok(Acquired::Granted)
    );
    let tier = RedisTier::connect(&settings(&with("s3cret-of-others"))).unwrap();
    let refused = tier.get(MESSAGE, &epoch).await;
    assert!(matches!(refused, Err(Fault::Away(_))), "{refused:?}");
    assert!(!format!("{refused:?} {tier:?}").contains("s3cret"));
    let tier = RedisTier::connect(&settings(server.url())).unwrap();
    assert!(matches!(
        tier.get(MESSAGE, &epoch).await,
        Err(Fault::Away(_))
    ));
}

#[tokio::test]
async fn the_user_and_the_database_number_are_used() {
    let b = harness().await;
    b.ask::<Value>(&["ACL", "SETUSER", "cache", "on", ">pw", "~*", "+@all"])
        .await;
    let url = b.redis.url().replace("redis://", "redis://cache:pw@") + "3";
    let tier = RedisTier::connect(&settings(&url)).unwrap();
    let epoch = epoch(&tier, 1).await;
    assert_ne!(epoch.remote, b.epoch.remote, "another database number");
    assert!(matches!(
        tier.get(MESSAGE, &b.epoch).await,
        Err(Fault::Elsewhere)
    ));
    tier.acquire(MESSAGE, &epoch, A, None).await.unwrap();
    assert!(b.lease(MESSAGE).await.is_empty());
    let client = Client::open(format!("{}3", b.redis.url())).unwrap();
    let mut third = client.get_multiplexed_async_connection().await.unwrap();
    let size: i64 = redis::cmd("DBSIZE").query_async(&mut third).await.unwrap();
    assert_eq!(size, 1);
    drop(direct(b.redis.url()).await);
}
