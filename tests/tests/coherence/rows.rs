//! The faults, by their numbers.

use std::time::Duration;

use parlance_testkit::{Proxy, torture};

use crate::cluster::{Cluster, INSTANCES};
use crate::load::{CHATS, Load, Readers};
use crate::metrics::unfenced;
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
        // A writer that is cut off waits for the others each time.
        load.answers(instance, 150, 4).await;
    }
}

/// A load, and a fault in the middle of it.
pub(crate) async fn observe(
    cluster: &Cluster,
    (name, chats): (&str, usize),
    fault: impl AsyncFnOnce(&Load),
) -> Outcome {
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask, chats).await;
    load.is_warm().await;
    fault(&load).await;
    some(&load).await;
    let outcome = load.end(name).await;
    outcome.tell();
    outcome
}

/// And whatever fails, what was acknowledged is seen.
pub(crate) async fn run(cluster: &Cluster, name: &str, fault: impl AsyncFnOnce(&Load)) -> Outcome {
    let outcome = observe(cluster, (name, CHATS), fault).await;
    outcome.assert_fresh();
    outcome
}

/// Row 1.
async fn nothing_fails(cluster: &Cluster) {
    let before = unfenced(cluster).await;
    let outcome = run(cluster, "nothing fails", much).await;
    outcome.assert_unnoticed();
    if unfenced(cluster).await == before {
        outcome.assert_never_stale();
    }
}

/// More reads and writes at every instance.
pub(crate) async fn much(load: &Load) {
    for instance in 0..INSTANCES {
        load.answers(instance, 800, 60).await;
    }
}

/// Row 4: whoever had fenced finds its fence gone when it goes on.
pub(crate) async fn stop(cluster: &Cluster, load: &Load) {
    cluster.services[0].stop();
    lasts(LONGER_THAN_A_FENCE).await;
    cluster.services[0].cont();
    some(load).await;
}

/// Row 5: while the others go on and hit.
pub(crate) async fn cut_off(cluster: &Cluster, load: &Load) {
    let proxy = &cluster.proxies[1];
    let faults: [fn(&Proxy); 3] = [Proxy::cut, Proxy::black_hole, |proxy| {
        proxy.delay(Duration::from_secs(2));
    }];
    for fault in faults {
        fault(proxy);
        some(load).await;
        proxy.heal();
        load.is_warm().await;
    }
}

/// Row 9: Redis is killed and comes back empty, and stands still.
pub(crate) async fn lose_redis(cluster: &Cluster, load: &Load) {
    cluster.redis.kill9();
    some(load).await;
    cluster.redis.restart().await;
    load.is_warm().await;
    cluster.redis.pause();
    some(load).await;
    cluster.redis.resume();
    load.is_warm().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_what_is_stale() {
    let cluster = Cluster::start(|builder| builder).await;
    nothing_fails(&cluster).await;
    if !torture() {
        return;
    }
    // Somebody waits for the row that a stopped instance holds, and may give up.
    let stopping = async |load: &Load| stop(&cluster, load).await;
    run(&cluster, "an instance stops", stopping).await;
    let cutting = async |load: &Load| cut_off(&cluster, load).await;
    let outcome = run(&cluster, "an instance is cut from Redis", cutting).await;
    outcome.assert_unnoticed();
    let losing = async |load: &Load| lose_redis(&cluster, load).await;
    let outcome = run(&cluster, "Redis goes and comes", losing).await;
    outcome.assert_unnoticed();
}
