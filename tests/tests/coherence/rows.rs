//! The rows that are always tested.

use parlance_testkit::{Builder, Redis, torture};

use crate::agreement::all_agree;
use crate::cluster::{Cluster, INSTANCES, Plan, exclusive};
use crate::faults::{
    SERVING, disconnect, heavy_load, light_load, lose_redis, mixed_backends, rounds, stop,
    two_backends,
};
use crate::load::{CHATS, Load, Readers};
use crate::metrics::{audited, unfenced};
use crate::outcome::{Outcome, print};

/// Runs a load with a fault, and checks that reads are not older than acknowledged writes.
pub(crate) async fn run(cluster: &Cluster, name: &str, fault: impl AsyncFnOnce(&Load)) -> Outcome {
    let all: Vec<usize> = (0..INSTANCES).collect();
    run_serving(cluster, name, &all, fault).await
}

/// The same where only these instances have a cache. At the end every instance must agree with the database.
pub(crate) async fn run_serving(
    cluster: &Cluster,
    name: &str,
    serving: &[usize],
    fault: impl AsyncFnOnce(&Load),
) -> Outcome {
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Call, CHATS).await;
    load.until_warm_at(serving).await;
    fault(&load).await;
    light_load(&load).await;
    let chats = load.chats();
    let outcome = load.end(name).await;
    outcome.print();
    outcome.assert_fresh();
    let agreed = all_agree(&callers, &chats).await;
    assert!(agreed.is_some(), "old values stay: {outcome}");
    outcome
}

/// Reads must not go back to an older value either, unless a write was degraded, if only by a time-out.
async fn nothing_fails(cluster: &Cluster) {
    let before = unfenced(cluster).await;
    let load = async |load: &Load| rounds(async |_| heavy_load(load).await).await;
    let outcome = run(cluster, "row 1: nothing fails", load).await;
    outcome.assert_unnoticed();
    if unfenced(cluster).await == before {
        outcome.assert_never_stale();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_stale() {
    let _running = exclusive().await;
    // The auditors run continuously.
    let with_auditors = |builder: Builder| builder.env("CACHE_AUDIT_INTERVAL", "1");
    let cluster = Cluster::start(with_auditors).await;
    nothing_fails(&cluster).await;
    // Another writer may wait for the row that a stopped instance has locked, and time out.
    let stopping = async |load: &Load| rounds(async |_| stop(&cluster, load).await).await;
    run(&cluster, "row 4: an instance stops", stopping).await;
    let disconnecting =
        async |load: &Load| rounds(async |_| disconnect(&cluster, load).await).await;
    let outcome = run(&cluster, "row 5: an instance loses Redis", disconnecting).await;
    outcome.assert_unnoticed();
    let (checked, wrong) = audited(&cluster).await;
    print(format!("{checked} values audited, {wrong} wrong"));
    assert!(
        checked > 0 && wrong == 0,
        "{checked} audited, {wrong} wrong"
    );
    let losing = async |load: &Load| rounds(async |_| lose_redis(&cluster, load).await).await;
    let outcome = run(&cluster, "row 9: Redis restarts", losing).await;
    outcome.assert_unnoticed();
}

/// One instance with the hybrid cache, one with Redis alone, and one without a cache. Writes of the last leave rows in
/// `cache_pending`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_with_different_backends_are_coherent() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Plan::over(Redis::start()).start(mixed_backends).await;
    let name = "hybrid, redis and off";
    let outcome = run_serving(&cluster, name, &SERVING, async |load| {
        rounds(async |_| light_load(load).await).await;
    });
    outcome.await.assert_unnoticed();
}

/// The third instance is configured with a Redis that it never reaches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_without_a_reachable_redis_is_coherent() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let plan = Plan {
        without_redis: Some(2),
        ..Plan::over(Redis::start())
    };
    let cluster = plan.start(two_backends).await;
    let name = "hybrid, redis, and one without a reachable Redis";
    let outcome = run_serving(&cluster, name, &SERVING, async |load| {
        rounds(async |_| light_load(load).await).await;
    });
    outcome.await.assert_unnoticed();
}
