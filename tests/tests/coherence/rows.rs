//! The faults, by their numbers.

use std::time::Duration;

use parlance_testkit::Builder;

use crate::cluster::{Cluster, INSTANCES};
use crate::load::{Load, Readers};
use crate::outcome::Outcome;

/// Longer than a fence stands in Redis.
const LONGER_THAN_A_FENCE: Duration = Duration::from_secs(12);

/// A fault lasts for its time, whatever is done meanwhile: it is the clocks of the service that it is about.
pub(crate) async fn lasts(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Some reads and writes at every instance.
pub(crate) async fn some(load: &Load) {
    for instance in 0..INSTANCES {
        load.answers(instance, 200, 40).await;
    }
}

pub(crate) async fn run(cluster: &Cluster, name: &str, fault: impl AsyncFnOnce(&Load)) -> Outcome {
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask).await;
    some(&load).await;
    fault(&load).await;
    some(&load).await;
    let outcome = load.end(name).await;
    outcome.tell();
    outcome.assert_coherent();
    outcome
}

/// Row 1.
async fn nothing_fails(cluster: &Cluster) {
    let outcome = run(cluster, "nothing fails", async |load: &Load| {
        for instance in 0..INSTANCES {
            load.answers(instance, 1_000, 200).await;
        }
    });
    outcome.await.assert_unnoticed();
}

/// Row 4: whoever had fenced finds its fence gone when it goes on.
async fn an_instance_stops_for_longer_than_a_fence(cluster: &Cluster) {
    run(cluster, "an instance stops", async |load: &Load| {
        cluster.services[0].stop();
        lasts(LONGER_THAN_A_FENCE).await;
        cluster.services[0].cont();
        some(load).await;
    })
    .await;
}

/// Row 5: while the others go on and hit.
async fn an_instance_is_cut_from_redis(cluster: &Cluster) {
    let outcome = run(
        cluster,
        "an instance is cut from Redis",
        async |load: &Load| {
            let proxy = &cluster.proxies[1];
            proxy.cut();
            some(load).await;
            proxy.heal();
            some(load).await;
            proxy.black_hole();
            some(load).await;
            proxy.heal();
            some(load).await;
            proxy.delay(Duration::from_secs(2));
            some(load).await;
            proxy.heal();
        },
    );
    outcome.await.assert_unnoticed();
}

/// Row 9: Redis is killed and comes back empty, and stands still.
async fn redis_goes_and_comes(cluster: &Cluster) {
    let outcome = run(cluster, "Redis goes and comes", async |load: &Load| {
        cluster.redis.kill9();
        some(load).await;
        cluster.redis.restart().await;
        some(load).await;
        cluster.redis.pause();
        some(load).await;
        cluster.redis.resume();
    });
    outcome.await.assert_unnoticed();
}

pub(crate) fn settings(builder: Builder) -> Builder {
    builder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_what_is_stale() {
    let cluster = Cluster::start(settings).await;
    nothing_fails(&cluster).await;
    an_instance_stops_for_longer_than_a_fence(&cluster).await;
    an_instance_is_cut_from_redis(&cluster).await;
    redis_goes_and_comes(&cluster).await;
}
