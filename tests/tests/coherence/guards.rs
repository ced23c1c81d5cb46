//! Each guard is taken away, and then something stale is read: or the row that passes with it would prove nothing.

use std::time::Duration;

use parlance_testkit::{Builder, Proxy, torture};

use crate::cluster::{Cluster, address};
use crate::commands::tell;
use crate::load::{CHATS, Load};
use crate::metrics::unfenced;
use crate::outcome::Outcome;
use crate::rows::{cut_off, much, observe};

/// Few conversations, so that everybody is after the same.
const HOT: usize = 3;

/// What fails while the load goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Row 1.
    Nothing,
    /// Row 5.
    CutOff,
    /// Row 7.
    Unheard,
    /// Row 11.
    Flush,
}

/// A service without this guard.
fn without(guard: &str) -> impl Fn(Builder) -> Builder {
    move |builder| builder.binary(env!("CARGO_BIN_EXE_weakened")).arg(guard)
}

async fn fails(cluster: &Cluster, fault: Fault, load: &Load) {
    match fault {
        Fault::Nothing => much(load).await,
        Fault::CutOff => cut_off(cluster, load).await,
        Fault::Unheard => {
            for proxy in &cluster.proxies {
                Proxy::delay_marked(proxy, Duration::from_secs(3));
            }
            much(load).await;
            for proxy in &cluster.proxies {
                proxy.heal();
            }
        }
        Fault::Flush => {
            for _ in 0..50 {
                tell(address(&cluster.redis), &["FLUSHALL"]).await;
                load.answers(0, 20, 2).await;
            }
        }
    }
}

/// What is seen, and how many fences and releases did not come through.
async fn look(guard: &str, fault: Fault, chats: usize) -> (Outcome, u64) {
    let cluster = Cluster::start(without(guard)).await;
    let before = unfenced(&cluster).await;
    let name = format!("{fault:?} without the guard {guard}");
    let outcome = observe(&cluster, (&name, chats), async |load: &Load| {
        fails(&cluster, fault, load).await;
    })
    .await;
    (outcome, unfenced(&cluster).await - before)
}

/// It is the guard that is missing, not the program that is another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_all_guards_nothing_is_stale() {
    if !torture() {
        return;
    }
    let (outcome, unfenced) = look("nothing", Fault::Nothing, HOT).await;
    outcome.assert_fresh();
    if unfenced == 0 {
        outcome.assert_never_stale();
    }
}

/// Stale, or new and then old, where not even that may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_guard_something_is_stale_though_nothing_fails() {
    if !torture() {
        return;
    }
    let (outcome, _) = look("fence", Fault::Nothing, HOT).await;
    assert!(!outcome.report.is_clean(), "{outcome}");
    let (outcome, _) = look("fill", Fault::Nothing, HOT).await;
    assert!(!outcome.broken().is_empty(), "{outcome}");
}

/// Two rows are not here. Row 4: who stops with a fence of its own loses its transaction before its fence, and releases besides,
/// so no one guard is all there is. Row 9: hits must come back for it to say anything, and without `faults` they were not back
/// after two minutes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_guard_a_fault_makes_something_stale() {
    if !torture() {
        return;
    }
    for (guard, fault, chats) in [
        ("release", Fault::Flush, HOT),
        ("barrier", Fault::Unheard, HOT),
        ("faults", Fault::CutOff, CHATS),
    ] {
        let (outcome, _) = look(guard, fault, chats).await;
        assert!(!outcome.broken().is_empty(), "{outcome}");
    }
}
