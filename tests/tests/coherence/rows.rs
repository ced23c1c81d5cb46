//! The faults that are tested always.

use parlance_testkit::{Builder, Redis, torture};

use crate::agreement::all_agree;
use crate::cluster::{Cluster, INSTANCES, Plan, turn};
use crate::faults::{
    SERVING, cut_off, its_own_way, lose_redis, much, rounds, some, stop, two_ways,
};
use crate::load::{CHATS, Load, Readers};
use crate::metrics::{audited, unfenced};
use crate::outcome::{Outcome, tell};

/// A load, and a fault in the middle of it: whatever fails, what was acknowledged is seen.
pub(crate) async fn run(cluster: &Cluster, name: &str, fault: impl AsyncFnOnce(&Load)) -> Outcome {
    let all: Vec<usize> = (0..INSTANCES).collect();
    run_serving(cluster, name, &all, fault).await
}

/// The same where these alone have a cache. When all is over, it says what the rows say.
pub(crate) async fn run_serving(
    cluster: &Cluster,
    name: &str,
    serving: &[usize],
    fault: impl AsyncFnOnce(&Load),
) -> Outcome {
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask, CHATS).await;
    load.is_warm_at(serving).await;
    fault(&load).await;
    some(&load).await;
    let chats = load.chats();
    let outcome = load.end(name).await;
    outcome.tell();
    outcome.assert_fresh();
    let agreed = all_agree(&callers, &chats).await;
    assert!(agreed.is_some(), "what is old stays: {outcome}");
    outcome
}

/// Nobody may see what is new and then what is old either, unless a write was cut off from Redis, if only for want of time.
async fn nothing_fails(cluster: &Cluster) {
    let before = unfenced(cluster).await;
    let load = async |load: &Load| rounds(async |_| much(load).await).await;
    let outcome = run(cluster, "row 1: nothing fails", load).await;
    outcome.assert_unnoticed();
    if unfenced(cluster).await == before {
        outcome.assert_never_stale();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_what_is_stale() {
    let _turn = turn().await;
    // Its auditors look all the time.
    let watched = |builder: Builder| builder.env("CACHE_AUDIT_INTERVAL", "1");
    let cluster = Cluster::start(watched).await;
    nothing_fails(&cluster).await;
    // Somebody waits for the row that a stopped instance holds, and may give up.
    let stopping = async |load: &Load| rounds(async |_| stop(&cluster, load).await).await;
    run(&cluster, "row 4: an instance stops", stopping).await;
    let cutting = async |load: &Load| rounds(async |_| cut_off(&cluster, load).await).await;
    let outcome = run(&cluster, "row 5: an instance is cut from Redis", cutting).await;
    outcome.assert_unnoticed();
    let (checked, wrong) = audited(&cluster).await;
    tell(format!("{checked} values audited, {wrong} wrong"));
    assert!(
        checked > 0 && wrong == 0,
        "{checked} audited, {wrong} wrong"
    );
    let losing = async |load: &Load| rounds(async |_| lose_redis(&cluster, load).await).await;
    let outcome = run(&cluster, "row 9: Redis goes and comes", losing).await;
    outcome.assert_unnoticed();
}

/// One has copies of its own, one has none, and the third no cache at all: its writes are told by rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_instance_may_have_another_cache() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Plan::over(Redis::start()).start(its_own_way).await;
    let name = "hybrid, redis and off";
    let outcome = run_serving(&cluster, name, &SERVING, async |load| {
        rounds(async |_| some(load).await).await;
    });
    outcome.await.assert_unnoticed();
}

/// The third has one that it never reaches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_may_never_reach_redis() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let plan = Plan {
        without_redis: Some(2),
        ..Plan::over(Redis::start())
    };
    let cluster = plan.start(two_ways).await;
    let name = "hybrid, redis, and one that never reaches it";
    let outcome = run_serving(&cluster, name, &SERVING, async |load| {
        rounds(async |_| some(load).await).await;
    });
    outcome.await.assert_unnoticed();
}
