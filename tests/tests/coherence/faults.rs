//! The faults, by their row in the table of faults: each function is one round of a fault under load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlance_testkit::{Builder, Proxy, Redis, eventually, torture, torture_time};

use crate::cluster::{Cluster, INSTANCES, address};
use crate::commands::{command, get, info_number};
use crate::load::{CANARY, Load, RunningLoad};

/// Longer than a fence lasts in Redis.
const LONGER_THAN_A_FENCE: Duration = Duration::from_secs(12);
/// Longer than an instance serves without the database.
const LONGER_THAN_A_RIGHT_TO_SERVE: Duration = Duration::from_secs(2);
/// Longer than a replica waits before it copies.
const REPLICA_SYNC: Duration = Duration::from_mins(2);

/// Lets a fault last for a time, in real time: these faults test the clocks of the service.
pub(crate) async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Runs one round, or in torture rounds for the torture time.
pub(crate) async fn rounds(round: impl AsyncFnMut(usize)) {
    let time = if torture() {
        torture_time()
    } else {
        Duration::ZERO
    };
    rounds_for(time, round).await;
}

/// Runs rounds for a time.
pub(crate) async fn rounds_for(time: Duration, mut round: impl AsyncFnMut(usize)) {
    let began = Instant::now();
    for number in 0.. {
        round(number).await;
        if began.elapsed() >= time {
            return;
        }
    }
}

/// A few reads and writes at every instance.
pub(crate) async fn light_load(load: &impl RunningLoad) {
    for instance in 0..INSTANCES {
        // Each write at a disconnected instance waits for the other instances.
        load.until_answered(instance, 150, 4).await;
    }
}

/// Many reads and writes at every instance.
pub(crate) async fn heavy_load(load: &impl RunningLoad) {
    for instance in 0..INSTANCES {
        load.until_answered(instance, 800, 60).await;
    }
}

/// Settings: values that expire during a pause.
pub(crate) fn short_lived(builder: Builder) -> Builder {
    builder
        .env("CACHE_DEFAULT_TTL", "1")
        .env("CACHE_TTL_MESSAGES", "1")
}

/// Maximum staleness of copies: less than the second in which a silent invalidation connection is detected.
pub(crate) const ALLOWED: Duration = Duration::from_millis(300);

/// Settings: copies that may be that stale.
pub(crate) fn with_max_staleness(builder: Builder) -> Builder {
    builder.env("CACHE_MAX_STALENESS_MS", ALLOWED.as_millis().to_string())
}

/// Row 2: a reader that has read a row and not filled it yet fills after a pause longer than any lease, or than the
/// lifetime of any value.
pub(crate) async fn pause_readers(cluster: &Cluster, load: &impl RunningLoad, number: usize) {
    let pauses = [1, 3, 1, 5, 1, 15];
    let service = &cluster.services[number % INSTANCES];
    service.stop();
    wait(Duration::from_secs(pauses[number % pauses.len()])).await;
    service.cont();
    light_load(load).await;
}

/// Row 3: one instance is killed at a random point.
pub(crate) async fn kill_one(cluster: &mut Cluster, load: &impl RunningLoad, number: usize) {
    let instance = number % INSTANCES;
    load.until_answered((instance + 1) % INSTANCES, 100, 10)
        .await;
    cluster.services[instance].kill9();
    cluster.services[instance].start_again().await;
    load.until_answered(instance, 20, 5).await;
}

/// Row 3: all instances are killed at once, so that no other instance releases the fences of interrupted writes.
pub(crate) async fn kill_all(cluster: &mut Cluster) {
    for service in &cluster.services {
        service.kill9();
    }
    for service in &mut cluster.services {
        service.start_again().await;
    }
}

/// Row 4: the fence of a stopped writer has expired when it continues.
pub(crate) async fn stop(cluster: &Cluster, load: &impl RunningLoad) {
    cluster.services[0].stop();
    wait(LONGER_THAN_A_FENCE).await;
    cluster.services[0].cont();
    light_load(load).await;
}

/// Row 5: one instance is disconnected from Redis while the others continue and hit.
pub(crate) async fn disconnect(cluster: &Cluster, load: &impl RunningLoad) {
    let faults: [fn(&Proxy); 3] = [Proxy::cut, Proxy::black_hole, |proxy| {
        proxy.delay(Duration::from_secs(2));
    }];
    for fault in faults {
        inject_fault(load, &cluster.proxies[1], fault).await;
    }
}

/// Row 5 with silence only, repeatedly.
pub(crate) async fn stay_disconnected(cluster: &Cluster, load: &impl RunningLoad) {
    inject_fault(load, &cluster.proxies[1], Proxy::black_hole).await;
}

async fn inject_fault(load: &impl RunningLoad, proxy: &Proxy, fault: impl Fn(&Proxy)) {
    fault(proxy);
    light_load(load).await;
    proxy.heal();
    load.until_warm().await;
}

/// The instances with a cache: the third writes without one, or has no Redis.
pub(crate) const SERVING: [usize; 2] = [0, 1];

/// Each instance has another backend, and the third none.
pub(crate) fn mixed_backends(instance: usize, builder: Builder) -> Builder {
    let backends = ["hybrid", "redis", "off"];
    builder.env("CACHE_BACKEND", backends[instance])
}

/// Two backends; the third instance has no Redis from the beginning.
pub(crate) fn two_backends(instance: usize, builder: Builder) -> Builder {
    let backends = ["hybrid", "redis", "hybrid"];
    builder.env("CACHE_BACKEND", backends[instance])
}

/// An instance that loses the database does not know the outcome of its writes in progress.
pub(crate) async fn disconnect_from_database(cluster: &Cluster, load: &impl RunningLoad) {
    let faults: [fn(&Proxy); 4] = [
        Proxy::cut,
        Proxy::black_hole,
        Proxy::lose_replies,
        |proxy| {
            proxy.delay(Duration::from_secs(2));
        },
    ];
    for fault in faults {
        leave_without_database(cluster, load, fault).await;
    }
}

/// One such fault; the other instances continue.
pub(crate) async fn leave_without_database(
    cluster: &Cluster,
    load: &impl RunningLoad,
    fault: impl Fn(&Proxy),
) {
    let proxy = &cluster.databases[1];
    fault(proxy);
    wait(LONGER_THAN_A_RIGHT_TO_SERVE).await;
    for instance in [0, 2] {
        load.until_answered(instance, 100, 4).await;
    }
    proxy.heal();
    load.until_answered(1, 50, 4).await;
}

/// Row 6: requests reach Redis, but replies are lost.
pub(crate) async fn lose_replies(cluster: &Cluster, load: &impl RunningLoad) {
    for proxy in &cluster.proxies {
        inject_fault(load, proxy, Proxy::lose_replies).await;
    }
}

/// Row 7: only the invalidation connection is lost, or delayed.
pub(crate) async fn lose_invalidations(cluster: &Cluster, load: &impl RunningLoad) {
    let faults: [fn(&Proxy); 3] = [Proxy::cut_marked, Proxy::black_hole_marked, |proxy| {
        proxy.delay_marked(Duration::from_secs(3));
    }];
    for fault in faults {
        for proxy in &cluster.proxies {
            inject_fault(load, proxy, fault).await;
        }
    }
}

/// Row 7 at all instances, with a delay only.
pub(crate) async fn delay_invalidations(cluster: &Cluster, load: &impl RunningLoad) {
    for proxy in &cluster.proxies {
        proxy.delay_marked(Duration::from_secs(3));
    }
    light_load(load).await;
    for proxy in &cluster.proxies {
        proxy.heal();
    }
    // Copies are made again.
    light_load(load).await;
}

/// A Redis that evicts by this policy once it is full.
pub(crate) fn redis_with_policy(policy: &str) -> Redis {
    Redis::start_with(["--maxmemory-policy", policy])
}

/// Number of unused keys of 1 KiB each.
const FILLERS: usize = 256;
/// Memory limit below the used memory, by this many bytes.
const LESS: u64 = 64 * 1024;

/// Rows 8 and 12: Redis evicts keys at once and on every write; in some rounds its connections are killed, including
/// the invalidation connections.
pub(crate) async fn evict_and_kill_connections(
    cluster: &Cluster,
    load: &impl RunningLoad,
    number: usize,
) {
    let redis = address(&cluster.redis);
    if number.is_multiple_of(4) {
        command(redis, &["CLIENT", "KILL", "TYPE", "normal"]).await;
    } else {
        fill_memory(redis).await;
    }
    load.until_answered(0, 150, 10).await;
}

/// Fills Redis with evictable keys, and lowers its memory limit. Without other keys to evict there would be no memory
/// for a lease.
async fn fill_memory(redis: SocketAddr) {
    command(redis, &["CONFIG", "SET", "maxmemory", "0"]).await;
    let (names, filling): (Vec<String>, String) = (
        (0..FILLERS)
            .map(|number| format!("filler:{number}"))
            .collect(),
        "x".repeat(1024),
    );
    let fill = names.iter().flat_map(|name| [name.as_str(), &filling]);
    let fill: Vec<&str> = std::iter::once("MSET").chain(fill).collect();
    command(redis, &fill).await;
    let used = info_number(redis, "memory", "used_memory").await;
    let room = used.saturating_sub(LESS).to_string();
    command(redis, &["CONFIG", "SET", "maxmemory", &room]).await;
}

/// Row 12, slow enough to miss invalidations: the invalidation connections are killed and stay down for a while.
pub(crate) async fn kill_invalidation_connections(cluster: &Cluster, load: &impl RunningLoad) {
    for proxy in &cluster.proxies {
        proxy.cut_marked();
    }
    load.until_answered(0, 30, 6).await;
    for proxy in &cluster.proxies {
        proxy.heal();
    }
    load.until_warm().await;
}

/// Row 9: Redis is killed and restarts empty, restarts from an old dump, and is stopped.
pub(crate) async fn lose_redis(cluster: &Cluster, load: &impl RunningLoad) {
    let redis = &cluster.redis;
    // The dump of an earlier round.
    let _ = std::fs::remove_file(redis.dir().join("dump.rdb"));
    redis.kill9();
    light_load(load).await;
    redis.restart().await;
    load.until_warm().await;
    restart_from_dump(cluster, load).await;
    redis.pause();
    light_load(load).await;
    if torture() {
        wait(Duration::from_secs(10)).await;
    }
    redis.resume();
    load.until_warm().await;
}

/// Row 9: Redis restarts from a dump that lacks the latest writes.
pub(crate) async fn restart_from_dump(cluster: &Cluster, load: &impl RunningLoad) {
    assert_eq!(command(address(&cluster.redis), &["SAVE"]).await, "+OK");
    light_load(load).await;
    cluster.redis.kill9();
    cluster.redis.restart().await;
    load.until_warm().await;
}

/// Row 10: a replica that has missed deletions is promoted.
pub(crate) async fn promote(cluster: &Cluster, load: &impl RunningLoad) {
    let replica = Redis::start();
    let replication = Proxy::start(address(&cluster.redis));
    let (host, port) = (replication.address().ip(), replication.address().port());
    let (host, port) = (host.to_string(), port.to_string());
    let at = address(&replica);
    command(at, &["REPLICAOF", &host, &port]).await;
    eventually(REPLICA_SYNC, async || {
        (command(at, &["DBSIZE"]).await != ":0").then_some(())
    })
    .await;
    light_load(load).await;
    replication.black_hole();
    light_load(load).await;
    command(at, &["REPLICAOF", "NO", "ONE"]).await;
    cluster.redirect_to(&replica);
    load.until_warm().await;
    // Then back, to even older data.
    cluster.redirect_to(&cluster.redis);
    load.until_warm().await;
}

/// Row 11: Redis is flushed.
pub(crate) async fn flush(cluster: &Cluster, load: &impl RunningLoad) {
    command(address(&cluster.redis), &["FLUSHALL"]).await;
    load.until_answered(0, 50, 5).await;
}

const POISONS: [&str; 8] = [
    "",
    "not JSON",
    "{",
    "{\"epoch\":1,",
    r#"{"epoch":1}"#,
    r#"{"epoch":1,"id":null}"#,
    r#"{"epoch":99999999999999999999999}"#,
    r#"{"epoch":1,"sequence":-1,"body":{"a":[]}}"#,
];

/// Row 13: values that no instance has written.
pub(crate) async fn poison(cluster: &Cluster, load: &Load) {
    let redis = address(&cluster.redis);
    for (number, id) in load.hot_messages().iter().enumerate() {
        let key = format!("message:{id}");
        let value = get(redis, &key).await.filter(|text| text.contains(OURS));
        let poison = match (number % 3, value) {
            (0, Some(text)) => foreign_copy(&text),
            // As another version might write it: a required field has another name.
            (1, Some(text)) => text.replace("\"version\":", "\"revision\":"),
            _ => POISONS[number % POISONS.len()].to_owned(),
        };
        command(redis, &["SET", &key, &poison]).await;
    }
    load.until_answered(0, 50, 5).await;
}

const OURS: &str = r#""owner":"acme""#;

/// The same message with another owner.
fn foreign_copy(text: &str) -> String {
    let foreign = text.replace(OURS, r#""owner":"globex""#);
    foreign.replace(r#""body":""#, &format!(r#""body":"{CANARY}, "#))
}
