//! The load and the checker see what they are there to see.

use parlance_testkit::history::Rule;

use crate::cluster::{Cluster, turn};
use crate::load::{Busy, CHATS, Load, Readers};

/// A client that believes in what it was told once is found out, and by nothing but what it believes in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_nobody_tells_of_writes_is_found_out() {
    let _turn = turn().await;
    let cluster = Cluster::start(|builder| builder).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Hoard, CHATS).await;
    for instance in 0..callers.len() {
        load.answers(instance, 300, 60).await;
    }
    let outcome = load.end("readers who hoard").await;
    outcome.tell();
    let stale = |rule| outcome.report.violations.iter().any(|v| v.rule == rule);
    assert!(stale(Rule::StaleAfterAck), "{outcome}");
    assert!(!stale(Rule::Future) && !stale(Rule::Disorder), "{outcome}");
}
