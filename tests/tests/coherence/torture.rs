//! The faults that take long, run only by `make torture`.

use parlance_testkit::{torture, torture_time};
use parlance_tests::{Caller, make};
use tonic::Code;

use crate::agreement::all_agree;
use crate::cluster::{Cluster, address, exclusive};
use crate::commands::info_number;
use crate::faults::{
    ALLOWED, disconnect, disconnect_from_database, evict_and_kill_connections, flush, kill_all,
    kill_one, light_load, lose_invalidations, lose_replies, pause_readers, poison, promote,
    redis_with_policy, rounds, rounds_for, short_lived, with_max_staleness,
};
use crate::guards::without;
use crate::load::{CHATS, Load, Readers, RunningLoad};
use crate::outcome::print;
use crate::rows::run;

/// Eviction policies of Redis.
const POLICIES: [&str; 5] = [
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-ttl",
    "noeviction",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_pause_before_they_fill() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(short_lived).await;
    run(&cluster, "row 2: readers pause", async |load: &Load| {
        rounds(async |number| pause_readers(&cluster, load, number).await).await;
    })
    .await;
}

/// The values that killed writers leave behind are fresh once their fences have expired.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_writers_leave_no_stale_value() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let mut cluster = Cluster::start(|builder| builder).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Call, CHATS).await;
    let mut kills = 0;
    rounds(async |number| {
        kill_one(&mut cluster, &load, number).await;
        kills = number + 1;
    })
    .await;
    light_load(&load).await;
    let chats = load.chats();
    let outcome = load.end("row 3: writers are killed").await;
    outcome.print();
    outcome.assert_fresh();
    let last = Load::start(&callers, Readers::Call, CHATS).await;
    last.until_warm().await;
    kill_all(&mut cluster).await;
    let last_chats = last.chats();
    last.end("row 3: all are killed").await.assert_fresh();
    for chats in [chats, last_chats] {
        let clean = all_agree(&callers, &chats).await;
        print(format!(
            "row 3: {kills} kills, then all: clean after {clean:.1?}"
        ));
        assert!(clean.is_some());
    }
}

/// Edits are delayed between their fence and their commit, so that a disconnected instance mostly has one at that
/// point.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_loses_the_database() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(without("nothing@fenced+300")).await;
    let name = "an instance loses Postgres";
    run(&cluster, name, async |load: &Load| {
        rounds(async |_| disconnect_from_database(&cluster, load).await).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_of_redis_are_lost() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(|builder| builder).await;
    let outcome = run(&cluster, "row 6: replies are lost", async |load: &Load| {
        rounds(async |_| lose_replies(&cluster, load).await).await;
    });
    outcome.await.assert_unnoticed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalidations_are_lost() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(|builder| builder).await;
    let outcome = run(
        &cluster,
        "row 7: invalidations are lost",
        async |load: &Load| {
            rounds(async |_| lose_invalidations(&cluster, load).await).await;
        },
    );
    outcome.await.assert_unnoticed();
}

/// With a maximum staleness, copies are no staler than that, whatever is disconnected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_exceeds_the_maximum_staleness() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(with_max_staleness).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Call, CHATS).await;
    load.until_warm().await;
    rounds(async |_| {
        lose_invalidations(&cluster, &load).await;
        disconnect(&cluster, &load).await;
    })
    .await;
    let outcome = load.end("rows 5 and 7: with a maximum staleness").await;
    outcome.print();
    let stalest = outcome.report.stalest();
    print(format!("rows 5 and 7: {stalest:.0?} stale at most"));
    outcome.assert_no_staler_than(ALLOWED);
    outcome.assert_unnoticed();
}

/// Values expire and are evicted while there are copies of them, and connections are killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_evicts_keys() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    for policy in POLICIES {
        let cluster = Cluster::start_over(redis_with_policy(policy), short_lived).await;
        let name = format!("rows 8 and 12: {policy}");
        let running = run(&cluster, &name, async |load: &Load| {
            let each = torture_time() / u32::try_from(POLICIES.len()).unwrap_or(1);
            rounds_for(each, async |number| {
                evict_and_kill_connections(&cluster, load, number).await;
            })
            .await;
        });
        running.await.assert_unnoticed();
        let evicted = info_number(address(&cluster.redis), "stats", "evicted_keys").await;
        print(format!("{name}: {evicted} keys evicted"));
        assert!(evicted > 0 || policy == "noeviction");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_missed_deletions_is_promoted() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(|builder| builder).await;
    let outcome = run(&cluster, "row 10: a replica", async |load: &Load| {
        rounds(async |_| promote(&cluster, load).await).await;
    });
    outcome.await.assert_unnoticed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_flushed() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(|builder| builder).await;
    let outcome = run(&cluster, "row 11: FLUSHALL", async |load: &Load| {
        rounds(async |_| flush(&cluster, load).await).await;
    });
    outcome.await.assert_unnoticed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_values_in_redis_are_not_served() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(|builder| builder).await;
    let strangers: Vec<Caller> = cluster.callers("initech");
    let outcome = run(&cluster, "row 13: poison", async |load: &Load| {
        rounds(async |number| {
            poison(&cluster, load).await;
            let stranger = &strangers[number % strangers.len()];
            for id in load.hot_messages() {
                let refused = stranger.call(make::get_message(&id)).await;
                assert_eq!(refused.err().map(|e| e.code()), Some(Code::NotFound));
            }
        })
        .await;
    });
    outcome.await.assert_unnoticed();
}
