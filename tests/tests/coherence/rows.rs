//! The faults that are tested always.

use crate::cluster::{Cluster, turn};
use crate::faults::{cut_off, lose_redis, much, rounds, some, stop};
use crate::load::{CHATS, Load, Readers};
use crate::metrics::unfenced;
use crate::outcome::Outcome;

/// A load, and a fault in the middle of it: whatever fails, what was acknowledged is seen.
pub(crate) async fn run(cluster: &Cluster, name: &str, fault: impl AsyncFnOnce(&Load)) -> Outcome {
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask, CHATS).await;
    load.is_warm().await;
    fault(&load).await;
    some(&load).await;
    let outcome = load.end(name).await;
    outcome.tell();
    outcome.assert_fresh();
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
    let cluster = Cluster::start(|builder| builder).await;
    nothing_fails(&cluster).await;
    // Somebody waits for the row that a stopped instance holds, and may give up.
    let stopping = async |load: &Load| rounds(async |_| stop(&cluster, load).await).await;
    run(&cluster, "row 4: an instance stops", stopping).await;
    let cutting = async |load: &Load| rounds(async |_| cut_off(&cluster, load).await).await;
    let outcome = run(&cluster, "row 5: an instance is cut from Redis", cutting).await;
    outcome.assert_unnoticed();
    let losing = async |load: &Load| rounds(async |_| lose_redis(&cluster, load).await).await;
    let outcome = run(&cluster, "row 9: Redis goes and comes", losing).await;
    outcome.assert_unnoticed();
}
