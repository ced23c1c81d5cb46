//! What fails, by the numbers of the faults: each is one round of it, amid a load.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlance_testkit::{Builder, Proxy, Redis, eventually, torture, torture_time};

use crate::cluster::{Cluster, INSTANCES, address};
use crate::commands::{figure, get, tell};
use crate::load::{Busy, CANARY, Load};

/// Longer than a fence stands in Redis.
const LONGER_THAN_A_FENCE: Duration = Duration::from_secs(12);
/// Longer than one serves who does not reach the database.
const LONGER_THAN_A_RIGHT_TO_SERVE: Duration = Duration::from_secs(2);
/// Longer than a replica waits before it copies.
const PATIENCE: Duration = Duration::from_mins(2);

/// A fault lasts for its time, whatever is done meanwhile: it is the clocks of the service that it is about.
pub(crate) async fn lasts(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Once, and in torture again and again for as long as it lasts.
pub(crate) async fn rounds(round: impl AsyncFnMut(usize)) {
    let time = if torture() {
        torture_time()
    } else {
        Duration::ZERO
    };
    rounds_for(time, round).await;
}

/// Again and again for as long as that.
pub(crate) async fn rounds_for(time: Duration, mut round: impl AsyncFnMut(usize)) {
    let began = Instant::now();
    for number in 0.. {
        round(number).await;
        if began.elapsed() >= time {
            return;
        }
    }
}

/// Some reads and writes at every instance.
pub(crate) async fn some(load: &impl Busy) {
    for instance in 0..INSTANCES {
        // A writer that is cut off waits for the others each time.
        load.answers(instance, 150, 4).await;
    }
}

/// More reads and writes at every instance.
pub(crate) async fn much(load: &impl Busy) {
    for instance in 0..INSTANCES {
        load.answers(instance, 800, 60).await;
    }
}

/// Values that end before a pause does.
pub(crate) fn short_lived(builder: Builder) -> Builder {
    builder
        .env("CACHE_DEFAULT_TTL", "1")
        .env("CACHE_TTL_MESSAGES", "1")
}

/// How old copies may be: less than the second in which a connection is found out that hears nothing.
pub(crate) const ALLOWED: Duration = Duration::from_millis(300);

/// Copies that may be that old.
pub(crate) fn a_little_old(builder: Builder) -> Builder {
    builder.env("CACHE_MAX_STALENESS_MS", ALLOWED.as_millis().to_string())
}

/// Row 2: whoever had read a row and not filled it yet does so when it is much older than any lease, or than any value.
pub(crate) async fn pause_readers(cluster: &Cluster, load: &impl Busy, number: usize) {
    let pauses = [1, 3, 1, 5, 1, 15];
    let service = &cluster.services[number % INSTANCES];
    service.stop();
    lasts(Duration::from_secs(pauses[number % pauses.len()])).await;
    service.cont();
    some(load).await;
}

/// Row 3: wherever it was.
pub(crate) async fn kill_one(cluster: &mut Cluster, load: &impl Busy, number: usize) {
    let instance = number % INSTANCES;
    load.answers((instance + 1) % INSTANCES, 100, 10).await;
    cluster.services[instance].kill9();
    cluster.services[instance].start_again().await;
    load.answers(instance, 20, 5).await;
}

/// Row 3: all at once, so that nobody writes after those who were in the middle of it.
pub(crate) async fn kill_all(cluster: &mut Cluster) {
    for service in &cluster.services {
        service.kill9();
    }
    for service in &mut cluster.services {
        service.start_again().await;
    }
}

/// Row 4: whoever had fenced finds its fence gone when it goes on.
pub(crate) async fn stop(cluster: &Cluster, load: &impl Busy) {
    cluster.services[0].stop();
    lasts(LONGER_THAN_A_FENCE).await;
    cluster.services[0].cont();
    some(load).await;
}

/// Row 5: while the others go on and hit.
pub(crate) async fn cut_off(cluster: &Cluster, load: &impl Busy) {
    let faults: [fn(&Proxy); 3] = [Proxy::cut, Proxy::black_hole, |proxy| {
        proxy.delay(Duration::from_secs(2));
    }];
    for fault in faults {
        hurt(load, &cluster.proxies[1], fault).await;
    }
}

/// The same with nothing but silence, again and again.
pub(crate) async fn stay_cut_off(cluster: &Cluster, load: &impl Busy) {
    hurt(load, &cluster.proxies[1], Proxy::black_hole).await;
}

async fn hurt(load: &impl Busy, proxy: &Proxy, fault: impl Fn(&Proxy)) {
    fault(proxy);
    some(load).await;
    proxy.heal();
    load.is_warm().await;
}

/// The third writes past the cache of the others, or has no Redis: these are two.
pub(crate) const SERVING: [usize; 2] = [0, 1];

/// Each its own way, and the third none.
pub(crate) fn its_own_way(instance: usize, builder: Builder) -> Builder {
    let backends = ["hybrid", "redis", "off"];
    builder.env("CACHE_BACKEND", backends[instance])
}

/// The third has no Redis from the beginning.
pub(crate) fn two_ways(instance: usize, builder: Builder) -> Builder {
    let backends = ["hybrid", "redis", "hybrid"];
    builder.env("CACHE_BACKEND", backends[instance])
}

/// Whoever is cut from the database does not know what came of the writes that it had under way.
pub(crate) async fn cut_from_database(cluster: &Cluster, load: &impl Busy) {
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

/// One such fault; the others go on.
pub(crate) async fn leave_without_database(
    cluster: &Cluster,
    load: &impl Busy,
    fault: impl Fn(&Proxy),
) {
    let proxy = &cluster.databases[1];
    fault(proxy);
    lasts(LONGER_THAN_A_RIGHT_TO_SERVE).await;
    for instance in [0, 2] {
        load.answers(instance, 100, 4).await;
    }
    proxy.heal();
    load.answers(1, 50, 4).await;
}

/// Row 6: what is done is done, though nobody hears of it.
pub(crate) async fn lose_replies(cluster: &Cluster, load: &impl Busy) {
    for proxy in &cluster.proxies {
        hurt(load, proxy, Proxy::lose_replies).await;
    }
}

/// Row 7: the connection that hears of writes alone is lost, or late.
pub(crate) async fn hear_nothing(cluster: &Cluster, load: &impl Busy) {
    let faults: [fn(&Proxy); 3] = [Proxy::cut_marked, Proxy::black_hole_marked, |proxy| {
        proxy.delay_marked(Duration::from_secs(3));
    }];
    for fault in faults {
        for proxy in &cluster.proxies {
            hurt(load, proxy, fault).await;
        }
    }
}

/// The same at all instances, and late alone.
pub(crate) async fn hear_late(cluster: &Cluster, load: &impl Busy) {
    for proxy in &cluster.proxies {
        proxy.delay_marked(Duration::from_secs(3));
    }
    some(load).await;
    for proxy in &cluster.proxies {
        proxy.heal();
    }
    // There are copies again.
    some(load).await;
}

/// A Redis that throws out what this policy says, once it is full.
pub(crate) fn cramped(policy: &str) -> Redis {
    Redis::start_with(["--maxmemory-policy", policy])
}

/// What nobody asks for, each of 1 KiB.
const FILLERS: usize = 256;
/// Less room than what is there takes.
const LESS: u64 = 64 * 1024;

/// Rows 8 and 12: something has to go at once, and whenever something comes; and connections are killed, the one that hears of
/// writes, too.
pub(crate) async fn kick(cluster: &Cluster, load: &impl Busy, number: usize) {
    let redis = address(&cluster.redis);
    if number.is_multiple_of(4) {
        tell(redis, &["CLIENT", "KILL", "TYPE", "normal"]).await;
    } else {
        cramp(redis).await;
    }
    load.answers(0, 150, 10).await;
}

/// Without what can go besides, there would be no room for a lease.
async fn cramp(redis: SocketAddr) {
    tell(redis, &["CONFIG", "SET", "maxmemory", "0"]).await;
    let (names, filling): (Vec<String>, String) = (
        (0..FILLERS)
            .map(|number| format!("filler:{number}"))
            .collect(),
        "x".repeat(1024),
    );
    let fill = names.iter().flat_map(|name| [name.as_str(), &filling]);
    let fill: Vec<&str> = std::iter::once("MSET").chain(fill).collect();
    tell(redis, &fill).await;
    let used = figure(redis, "memory", "used_memory").await;
    let room = used.saturating_sub(LESS).to_string();
    tell(redis, &["CONFIG", "SET", "maxmemory", &room]).await;
}

/// Row 12 so slowly that something can be missed: the connections that hear of writes are killed, and stay away for a moment.
pub(crate) async fn kick_ears(cluster: &Cluster, load: &impl Busy) {
    for proxy in &cluster.proxies {
        proxy.cut_marked();
    }
    load.answers(0, 30, 6).await;
    for proxy in &cluster.proxies {
        proxy.heal();
    }
    load.is_warm().await;
}

/// Row 9: Redis is killed and comes back empty, comes back with what it held some time ago, and stands still.
pub(crate) async fn lose_redis(cluster: &Cluster, load: &impl Busy) {
    let redis = &cluster.redis;
    // What it saved in an earlier round.
    let _ = std::fs::remove_file(redis.dir().join("dump.rdb"));
    redis.kill9();
    some(load).await;
    redis.restart().await;
    load.is_warm().await;
    restart_from_dump(cluster, load).await;
    redis.pause();
    some(load).await;
    if torture() {
        lasts(Duration::from_secs(10)).await;
    }
    redis.resume();
    load.is_warm().await;
}

/// Row 9: it does not know what was written since.
pub(crate) async fn restart_from_dump(cluster: &Cluster, load: &impl Busy) {
    assert_eq!(tell(address(&cluster.redis), &["SAVE"]).await, "+OK");
    some(load).await;
    cluster.redis.kill9();
    cluster.redis.restart().await;
    load.is_warm().await;
}

/// Row 10: a replica that has missed deletions becomes the primary.
pub(crate) async fn promote(cluster: &Cluster, load: &impl Busy) {
    let replica = Redis::start();
    let replication = Proxy::start(address(&cluster.redis));
    let (host, port) = (replication.address().ip(), replication.address().port());
    let (host, port) = (host.to_string(), port.to_string());
    let at = address(&replica);
    tell(at, &["REPLICAOF", &host, &port]).await;
    eventually(PATIENCE, async || {
        (tell(at, &["DBSIZE"]).await != ":0").then_some(())
    })
    .await;
    some(load).await;
    replication.black_hole();
    some(load).await;
    tell(at, &["REPLICAOF", "NO", "ONE"]).await;
    cluster.redirect_to(&replica);
    load.is_warm().await;
    // And back, to data that are older still.
    cluster.redirect_to(&cluster.redis);
    load.is_warm().await;
}

/// Row 11: all of it goes.
pub(crate) async fn flush(cluster: &Cluster, load: &impl Busy) {
    tell(address(&cluster.redis), &["FLUSHALL"]).await;
    load.answers(0, 50, 5).await;
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

/// Row 13: what nobody of ours has written, or not there.
pub(crate) async fn poison(cluster: &Cluster, load: &Load) {
    let redis = address(&cluster.redis);
    for (number, id) in load.hot_messages().iter().enumerate() {
        let key = format!("message:{id}");
        let there = get(redis, &key).await.filter(|text| text.contains(OURS));
        let poison = match (number % 3, there) {
            (0, Some(text)) => anothers(&text),
            // As a version to come may write it, or one that is gone: what we need has another name.
            (1, Some(text)) => text.replace("\"version\":", "\"revision\":"),
            _ => POISONS[number % POISONS.len()].to_owned(),
        };
        tell(redis, &["SET", &key, &poison]).await;
    }
    load.answers(0, 50, 5).await;
}

const OURS: &str = r#""owner":"acme""#;

/// The same message of another owner.
fn anothers(text: &str) -> String {
    let whose = text.replace(OURS, r#""owner":"globex""#);
    whose.replace(r#""body":""#, &format!(r#""body":"{CANARY}, "#))
}
