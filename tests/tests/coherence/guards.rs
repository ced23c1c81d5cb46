//! Each guard is taken away, and then something stale is read: or the row that passes with it would prove nothing.
//!
//! Row 4 has two guards: who stops with a fence of its own loses its transaction before its fence ends, and if it did not, its release
//! would still come before its acknowledgement. Without the release the first alone must do, and without both something is stale.

use std::net::SocketAddr;

use parlance_testkit::{Builder, Proxy, Redis, torture};

use crate::agreement::all_agree;
use crate::cluster::{Cluster, Plan, turn};
use crate::faults::{
    ALLOWED, SERVING, a_little_old, cramped, flush, hear_late, its_own_way, kick_ears,
    leave_without_database, lose_replies, much, pause_readers, poison, promote, restart_from_dump,
    rounds, short_lived, some, stay_cut_off, stop,
};
use crate::load::{Busy, CHATS, Load, Readers};
use crate::metrics::unfenced;

/// Few conversations, so that everybody is after the same.
pub(crate) const HOT: usize = 3;
/// By then something stale was read.
pub(crate) const ROUNDS: usize = 50;

/// What fails while the load goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// 1
    Nothing,
    /// 1, where each has another cache
    Mixed,
    /// 2
    Paused,
    /// 4, and the database ends no transaction
    Stopped,
    /// 5
    CutOff,
    /// 6
    Unanswered,
    /// 7
    Unheard,
    /// 8
    Expired,
    /// 9
    Restarted,
    /// 10
    Promoted,
    /// 11
    Flushed,
    /// 12
    Kicked,
    /// 13
    Poisoned,
}

impl Row {
    async fn round(self, cluster: &Cluster, load: &Load, number: usize) {
        match self {
            Self::Nothing | Self::Mixed | Self::Expired => some(load).await,
            Self::Stopped => stop(cluster, load).await,
            Self::Paused => pause_readers(cluster, load, number).await,
            Self::CutOff => stay_cut_off(cluster, load).await,
            Self::Unanswered => lose_replies(cluster, load).await,
            Self::Unheard => hear_late(cluster, load).await,
            Self::Restarted => restart_from_dump(cluster, load).await,
            Self::Promoted => promote(cluster, load).await,
            Self::Flushed => flush(cluster, load).await,
            Self::Kicked => kick_ears(cluster, load).await,
            Self::Poisoned => poison(cluster, load).await,
        }
    }

    /// Who has a cache.
    fn serving(self) -> &'static [usize] {
        match self {
            Self::Mixed => &SERVING,
            Self::Nothing
            | Self::Paused
            | Self::Stopped
            | Self::CutOff
            | Self::Unanswered
            | Self::Unheard
            | Self::Expired
            | Self::Restarted
            | Self::Promoted
            | Self::Flushed
            | Self::Kicked
            | Self::Poisoned => &[0, 1, 2],
        }
    }

    async fn cluster(self, settings: impl Fn(Builder) -> Builder) -> Cluster {
        match self {
            Self::Expired => Cluster::start(|builder| settings(short_lived(builder))).await,
            Self::Kicked => Cluster::start_over(cramped("allkeys-lru"), settings).await,
            Self::Mixed => {
                let plan = Plan::over(Redis::start());
                plan.start(|instance, builder| settings(its_own_way(instance, builder)))
                    .await
            }
            Self::Stopped => {
                let plan = Plan {
                    to_database: endless,
                    ..Plan::over(Redis::start())
                };
                plan.start(|_, builder| settings(builder)).await
            }
            Self::Nothing
            | Self::Paused
            | Self::CutOff
            | Self::Unanswered
            | Self::Unheard
            | Self::Restarted
            | Self::Promoted
            | Self::Flushed
            | Self::Poisoned => Cluster::start(settings).await,
        }
    }
}

/// A service without this guard.
pub(crate) fn without(guard: &str) -> impl Fn(Builder) -> Builder {
    move |builder| builder.binary(env!("CARGO_BIN_EXE_weakened")).arg(guard)
}

/// On this way the time-outs that a service sets for its statements and transactions never end one.
fn endless(database: SocketAddr) -> Proxy {
    Proxy::start_rewriting(database, "timeout = 5000", "timeout = 0000")
}

/// Something stale is read before long.
async fn is_found_out(row: Row, guard: &str, chats: usize) {
    let cluster = row.cluster(without(guard)).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask, chats).await;
    load.is_warm_at(row.serving()).await;
    for number in 0..ROUNDS {
        row.round(&cluster, &load, number).await;
        if load.was_stale() {
            break;
        }
    }
    let outcome = load
        .end(&format!("{row:?} without the guard {guard}"))
        .await;
    outcome.tell();
    let is_broken = outcome.leaks > 0 || !outcome.broken().is_empty();
    assert!(is_broken, "{outcome}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_guard_each_row_that_is_tested_always_fails() {
    let _turn = turn().await;
    is_found_out(Row::Nothing, "fill", HOT).await;
    is_found_out(Row::Stopped, "fenced@fenced+400", HOT).await;
    is_found_out(Row::CutOff, "faults", CHATS).await;
    is_found_out(Row::Restarted, "epoch", CHATS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_guard_each_row_fails() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    is_found_out(Row::Paused, "fill", HOT).await;
    is_found_out(Row::Mixed, "drain", HOT).await;
    is_found_out(Row::Unanswered, "barrier", HOT).await;
    is_found_out(Row::Unheard, "barrier", HOT).await;
    is_found_out(Row::Expired, "absent", CHATS).await;
    is_found_out(Row::Promoted, "epoch", CHATS).await;
    is_found_out(Row::Flushed, "release", HOT).await;
    is_found_out(Row::Kicked, "lost", HOT).await;
    is_found_out(Row::Poisoned, "owner", CHATS).await;
}

/// It is the guard that is missing, not the program that is another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_all_guards_nothing_is_stale() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(without("nothing")).await;
    let before = unfenced(&cluster).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask, HOT).await;
    load.is_warm().await;
    much(&load).await;
    let outcome = load.end("with all guards").await;
    outcome.tell();
    outcome.assert_fresh();
    if unfenced(&cluster).await == before {
        outcome.assert_never_stale();
    }
}

/// Row 4 without the release of what was fenced: the database ends the transaction of whoever stops, and that is enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_release_the_time_outs_of_the_database_do() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(without("fenced@fenced+400")).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask, HOT).await;
    load.is_warm().await;
    rounds(async |_| stop(&cluster, &load).await).await;
    let outcome = load.end("row 4 with the database's time-outs alone").await;
    outcome.tell();
    outcome.assert_fresh();
}

/// Whoever does not hear what came of its COMMIT leaves the old value behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_fences_a_commit_that_nobody_heard_of_leaves_what_is_old() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(without("fence@fenced+300")).await;
    let callers = cluster.callers("acme");
    for _ in 0..ROUNDS {
        let load = Load::start(&callers, Readers::Ask, HOT).await;
        load.is_warm().await;
        leave_without_database(&cluster, &load, Proxy::lose_replies).await;
        let chats = load.chats();
        let outcome = load.end("cut from Postgres without the guard fence").await;
        outcome.tell();
        let is_old = !outcome.report.is_clean();
        if is_old || all_agree(&callers, &chats).await.is_none() {
            return;
        }
    }
    panic!("the cache always agreed with the database");
}

/// What may be a little old is older.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_barrier_what_is_old_is_older_than_allowed() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(|builder| without("barrier")(a_little_old(builder))).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Ask, HOT).await;
    load.is_warm().await;
    for _ in 0..ROUNDS {
        hear_late(&cluster, &load).await;
        if load.stalest() > ALLOWED {
            break;
        }
    }
    let outcome = load
        .end("row 7, a little old, without the guard barrier")
        .await;
    outcome.tell();
    assert!(outcome.report.stalest() > ALLOWED, "{outcome}");
}

/// New, and then old: before the acknowledgement not even that may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_fences_what_was_new_is_old_again() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let cluster = Cluster::start(without("fence")).await;
    let callers = cluster.callers("acme");
    // It takes two readers at once whose SELECTs are on both sides of a commit.
    for _ in 0..ROUNDS {
        let load = Load::start(&callers, Readers::Ask, 1).await;
        load.is_warm().await;
        much(&load).await;
        let outcome = load.end("row 1 without the guard fence").await;
        outcome.tell();
        if !outcome.report.is_clean() {
            return;
        }
    }
    panic!("what was new was never old again");
}
