//! The faults that take long, by their numbers; `make torture` alone has them.

use std::time::Duration;

use parlance_testkit::{Builder, Proxy, Redis, torture};

use crate::cluster::{Cluster, INSTANCES, address};
use crate::commands::tell;
use crate::load::{CHATS, Load, Readers};
use crate::rows::{lasts, run, some};

/// Values that end before a pause does.
fn short_lived(builder: Builder) -> Builder {
    builder
        .env("CACHE_DEFAULT_TTL", "1")
        .env("CACHE_TTL_MESSAGES", "1")
}

/// Row 2: whoever had read a row and not filled it yet does so when it is much older than any lease, or than any value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_pause_before_they_fill() {
    if !torture() {
        return;
    }
    let cluster = Cluster::start(short_lived).await;
    run(&cluster, "readers pause", async |load: &Load| {
        for (round, seconds) in [1, 1, 3, 5, 15].into_iter().enumerate() {
            let service = &cluster.services[round % INSTANCES];
            service.stop();
            lasts(Duration::from_secs(seconds)).await;
            service.cont();
            some(load).await;
        }
    })
    .await;
}

/// Row 3: wherever a writer was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_are_killed() {
    if !torture() {
        return;
    }
    let mut cluster = Cluster::start(|builder| builder).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask, CHATS).await;
    for round in 0..60 {
        let instance = round % INSTANCES;
        load.answers((instance + 1) % INSTANCES, 100, 10).await;
        cluster.services[instance].kill9();
        cluster.services[instance].start_again().await;
        load.answers(instance, 20, 5).await;
    }
    some(&load).await;
    let outcome = load.end("writers are killed").await;
    outcome.tell();
    outcome.assert_fresh();
}

/// Rows 6 and 7: what is done is done, though nobody hears of it; and the connection that hears of writes is lost alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_way_and_one_connection_are_lost() {
    if !torture() {
        return;
    }
    let cluster = Cluster::start(|builder| builder).await;
    let outcome = run(&cluster, "replies are lost", async |load: &Load| {
        for _ in 0..5 {
            for proxy in &cluster.proxies {
                proxy.lose_replies();
                some(load).await;
                proxy.heal();
                load.is_warm().await;
            }
        }
    });
    outcome.await.assert_unnoticed();
    let outcome = run(&cluster, "nobody hears of writes", async |load: &Load| {
        let faults: [fn(&Proxy); 3] = [
            |proxy| proxy.cut_marked(),
            |proxy| proxy.black_hole_marked(),
            |proxy| proxy.delay_marked(Duration::from_secs(3)),
        ];
        for fault in faults {
            for proxy in &cluster.proxies {
                fault(proxy);
                some(load).await;
                proxy.heal();
                load.is_warm().await;
            }
        }
    });
    outcome.await.assert_unnoticed();
}

/// Rows 8 and 12: values end, and are thrown out, while copies of them live; and connections are killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_has_no_room() {
    if !torture() {
        return;
    }
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-ttl",
        "noeviction",
    ] {
        let redis = Redis::start_with(["--maxmemory", "2500kb", "--maxmemory-policy", policy]);
        let cluster = Cluster::start_over(redis, short_lived).await;
        let at = address(&cluster.redis);
        let outcome = run(&cluster, policy, async |load: &Load| {
            for _ in 0..10 {
                some(load).await;
                tell(at, &["CLIENT", "KILL", "TYPE", "normal"]).await;
            }
        });
        outcome.await.assert_unnoticed();
    }
}

/// Row 10: a replica that has missed deletions becomes the primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_missed_deletions_is_promoted() {
    if !torture() {
        return;
    }
    let cluster = Cluster::start(|builder| builder).await;
    let replica = Redis::start();
    let replication = Proxy::start(address(&cluster.redis));
    let (host, port) = (replication.address().ip(), replication.address().port());
    let (host, port) = (host.to_string(), port.to_string());
    let outcome = run(&cluster, "a replica is promoted", async |load: &Load| {
        tell(address(&replica), &["REPLICAOF", &host, &port]).await;
        some(load).await;
        replication.black_hole();
        some(load).await;
        tell(address(&replica), &["REPLICAOF", "NO", "ONE"]).await;
        cluster.lead_to(&replica);
        load.is_warm().await;
        // And back, to data that are older still.
        cluster.lead_to(&cluster.redis);
        load.is_warm().await;
    });
    outcome.await.assert_unnoticed();
}

/// Row 11: all of it goes, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_flushed() {
    if !torture() {
        return;
    }
    let cluster = Cluster::start(|builder| builder).await;
    let at = address(&cluster.redis);
    let outcome = run(&cluster, "everything is flushed", async |load: &Load| {
        for _ in 0..20 {
            tell(at, &["FLUSHALL"]).await;
            load.answers(0, 50, 5).await;
        }
    });
    outcome.await.assert_unnoticed();
}

/// Row 13: what nobody of ours has written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_poisoned() {
    if !torture() {
        return;
    }
    let cluster = Cluster::start(|builder| builder).await;
    let at = address(&cluster.redis);
    let poisons = [
        "",
        "not JSON",
        "{",
        "{\"epoch\":1,",
        r#"{"epoch":1}"#,
        r#"{"epoch":1,"id":null}"#,
        r#"{"epoch":99999999999999999999999}"#,
        r#"{"epoch":1,"sequence":-1,"body":{"a":[]}}"#,
    ];
    let outcome = run(&cluster, "values are poisoned", async |load: &Load| {
        for _ in 0..20 {
            for (number, id) in load.hot_messages().iter().enumerate() {
                let poison = poisons[number % poisons.len()];
                tell(at, &["SET", &format!("message:{id}"), poison]).await;
            }
            load.answers(0, 50, 5).await;
        }
    });
    outcome.await.assert_unnoticed();
}
