//! The load and the checker detect stale reads.

use parlance_testkit::history::Rule;

use crate::cluster::{Cluster, exclusive};
use crate::load::{CHATS, Load, Readers, RunningLoad};

/// A client that never updates its first response is detected, and violates no other rule.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_without_invalidation_is_detected() {
    let _running = exclusive().await;
    let cluster = Cluster::start(|builder| builder).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Memoize, CHATS).await;
    for instance in 0..callers.len() {
        load.until_answered(instance, 300, 60).await;
    }
    let outcome = load.end("memoizing readers").await;
    outcome.print();
    let stale = |rule| outcome.report.violations.iter().any(|v| v.rule == rule);
    assert!(stale(Rule::StaleAfterAck), "{outcome}");
    assert!(!stale(Rule::Future) && !stale(Rule::Disorder), "{outcome}");
}
