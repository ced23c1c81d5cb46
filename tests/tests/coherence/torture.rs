//! The faults that take long; `make torture` alone has them.

use parlance_testkit::{torture, torture_time};
use parlance_tests::{Caller, make};
use tonic::Code;

use crate::agreement::all_agree;
use crate::cluster::{Cluster, address, turn};
use crate::commands::figure;
use crate::faults::{
    ALLOWED, a_little_old, cramped, cut_from_database, cut_off, flush, hear_nothing, kick,
    kill_all, kill_one, lose_replies, pause_readers, poison, promote, rounds, rounds_for,
    short_lived, some,
};
use crate::guards::without;
use crate::load::{Busy, CHATS, Load, Readers};
use crate::outcome::tell;
use crate::rows::run;

/// What Redis may throw out.
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
    let _turn = turn().await;
    let cluster = Cluster::start(short_lived).await;
    run(&cluster, "row 2: readers pause", async |load: &Load| {
        rounds(async |number| pause_readers(&cluster, load, number).await).await;
    })
    .await;
}

/// And what they leave behind is as good as new when their fences have ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_are_killed() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let mut cluster = Cluster::start(|builder| builder).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask, CHATS).await;
    let mut kills = 0;
    rounds(async |number| {
        kill_one(&mut cluster, &load, number).await;
        kills = number + 1;
    })
    .await;
    some(&load).await;
    let chats = load.chats();
    let outcome = load.end("row 3: writers are killed").await;
    outcome.tell();
    outcome.assert_fresh();
    let last = Load::start(&callers, Readers::Ask, CHATS).await;
    last.is_warm().await;
    kill_all(&mut cluster).await;
    let last_chats = last.chats();
    last.end("row 3: all are killed").await.assert_fresh();
    for chats in [chats, last_chats] {
        let clean = all_agree(&callers, &chats).await;
        tell(format!(
            "row 3: {kills} kills, then all: clean after {clean:.1?}"
        ));
        assert!(clean.is_some());
    }
}

/// An edit waits for a moment between its fence and its commit, so whoever is cut off mostly has one there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_cut_from_the_database() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(without("nothing@fenced+300")).await;
    let name = "an instance is cut from Postgres";
    run(&cluster, name, async |load: &Load| {
        rounds(async |_| cut_from_database(&cluster, load).await).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_are_lost() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(|builder| builder).await;
    let outcome = run(&cluster, "row 6: replies are lost", async |load: &Load| {
        rounds(async |_| lose_replies(&cluster, load).await).await;
    });
    outcome.await.assert_unnoticed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_hears_of_writes() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(|builder| builder).await;
    let outcome = run(&cluster, "row 7: nobody hears", async |load: &Load| {
        rounds(async |_| hear_nothing(&cluster, load).await).await;
    });
    outcome.await.assert_unnoticed();
}

/// Where copies may be a little old, they are no older, whoever is cut off from what.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reads_what_is_older_than_allowed() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(a_little_old).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask, CHATS).await;
    load.is_warm().await;
    rounds(async |_| {
        hear_nothing(&cluster, &load).await;
        cut_off(&cluster, &load).await;
    })
    .await;
    let outcome = load.end("rows 5 and 7: copies a little old").await;
    outcome.tell();
    let stalest = outcome.report.stalest();
    tell(format!("rows 5 and 7: {stalest:.0?} old at most"));
    outcome.assert_no_staler_than(ALLOWED);
    outcome.assert_unnoticed();
}

/// Values end, and are thrown out, while copies of them live; and connections are killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_has_no_room() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    for policy in POLICIES {
        let cluster = Cluster::start_over(cramped(policy), short_lived).await;
        let name = format!("rows 8 and 12: {policy}");
        let running = run(&cluster, &name, async |load: &Load| {
            let each = torture_time() / u32::try_from(POLICIES.len()).unwrap_or(1);
            rounds_for(each, async |number| kick(&cluster, load, number).await).await;
        });
        running.await.assert_unnoticed();
        let evicted = figure(address(&cluster.redis), "stats", "evicted_keys").await;
        tell(format!("{name}: {evicted} keys thrown out"));
        assert!(evicted > 0 || policy == "noeviction");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_missed_deletions_is_promoted() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(|builder| builder).await;
    let outcome = run(&cluster, "row 10: a replica", async |load: &Load| {
        rounds(async |_| promote(&cluster, load).await).await;
    });
    outcome.await.assert_unnoticed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_flushed() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(|builder| builder).await;
    let outcome = run(&cluster, "row 11: all of it goes", async |load: &Load| {
        rounds(async |_| flush(&cluster, load).await).await;
    });
    outcome.await.assert_unnoticed();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_poisoned() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(|builder| builder).await;
    let strangers: Vec<Caller> = cluster.callers("initech");
    let outcome = run(&cluster, "row 13: poison", async |load: &Load| {
        rounds(async |number| {
            poison(&cluster, load).await;
            let stranger = &strangers[number % strangers.len()];
            for id in load.hot_messages() {
                let refused = stranger.ask(make::get_message(&id)).await;
                assert_eq!(refused.err().map(|e| e.code()), Some(Code::NotFound));
            }
        })
        .await;
    });
    outcome.await.assert_unnoticed();
}
