//! Each guard is switched off, and then a stale read must occur: otherwise the passing test would prove nothing.
//!
//! Row 4 has two guards: a stopped writer loses its transaction before its fence expires, and even if it did not, its
//! release would come before its acknowledgement. Without the release the first guard must suffice; without both there
//! is a stale read.

use std::net::SocketAddr;

use parlance_testkit::{Builder, Proxy, Redis, torture};

use crate::agreement::all_agree;
use crate::cluster::{Cluster, Plan, exclusive};
use crate::faults::{
    ALLOWED, SERVING, delay_invalidations, flush, heavy_load, kill_invalidation_connections,
    leave_without_database, light_load, lose_replies, mixed_backends, pause_readers, poison,
    promote, redis_with_policy, restart_from_dump, rounds, short_lived, stay_disconnected, stop,
    with_max_staleness,
};
use crate::load::{CHATS, Load, Readers, RunningLoad};
use crate::metrics::unfenced;

/// Few conversations, so that all clients use the same rows.
pub(crate) const HOT: usize = 3;
/// Number of rounds within which a stale read must occur.
pub(crate) const ROUNDS: usize = 50;

/// The fault during the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    /// 1
    Nothing,
    /// 1, where each instance has another backend
    Mixed,
    /// 2
    Paused,
    /// 4, and the database ends no transaction
    Stopped,
    /// 5
    Disconnected,
    /// 6
    RepliesLost,
    /// 7
    InvalidationsDelayed,
    /// 8
    Expired,
    /// 9
    Restarted,
    /// 10
    Promoted,
    /// 11
    Flushed,
    /// 12
    Evicted,
    /// 13
    Poisoned,
}

impl Row {
    async fn round(self, cluster: &Cluster, load: &Load, number: usize) {
        match self {
            Self::Nothing | Self::Mixed | Self::Expired => light_load(load).await,
            Self::Stopped => stop(cluster, load).await,
            Self::Paused => pause_readers(cluster, load, number).await,
            Self::Disconnected => stay_disconnected(cluster, load).await,
            Self::RepliesLost => lose_replies(cluster, load).await,
            Self::InvalidationsDelayed => delay_invalidations(cluster, load).await,
            Self::Restarted => restart_from_dump(cluster, load).await,
            Self::Promoted => promote(cluster, load).await,
            Self::Flushed => flush(cluster, load).await,
            Self::Evicted => kill_invalidation_connections(cluster, load).await,
            Self::Poisoned => poison(cluster, load).await,
        }
    }

    /// The instances with a cache.
    fn serving(self) -> &'static [usize] {
        match self {
            Self::Mixed => &SERVING,
            Self::Nothing
            | Self::Paused
            | Self::Stopped
            | Self::Disconnected
            | Self::RepliesLost
            | Self::InvalidationsDelayed
            | Self::Expired
            | Self::Restarted
            | Self::Promoted
            | Self::Flushed
            | Self::Evicted
            | Self::Poisoned => &[0, 1, 2],
        }
    }

    async fn cluster(self, settings: impl Fn(Builder) -> Builder) -> Cluster {
        match self {
            Self::Expired => Cluster::start(|builder| settings(short_lived(builder))).await,
            Self::Evicted => Cluster::start_over(redis_with_policy("allkeys-lru"), settings).await,
            Self::Mixed => {
                let plan = Plan::over(Redis::start());
                plan.start(|instance, builder| settings(mixed_backends(instance, builder)))
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
            | Self::Disconnected
            | Self::RepliesLost
            | Self::InvalidationsDelayed
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

/// A proxy that disables the statement and transaction time-outs of a service.
fn endless(database: SocketAddr) -> Proxy {
    Proxy::start_rewriting(database, "timeout = 5000", "timeout = 0000")
}

/// Asserts that a stale read occurs within the rounds.
async fn assert_becomes_stale(row: Row, guard: &str, chats: usize) {
    let cluster = row.cluster(without(guard)).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Call, chats).await;
    load.until_warm_at(row.serving()).await;
    for number in 0..ROUNDS {
        row.round(&cluster, &load, number).await;
        if load.was_stale() {
            break;
        }
    }
    let outcome = load
        .end(&format!("{row:?} without the guard {guard}"))
        .await;
    outcome.print();
    let is_broken = outcome.leaks > 0 || !outcome.broken().is_empty();
    assert!(is_broken, "{outcome}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_guard_each_regular_row_is_stale() {
    let _running = exclusive().await;
    assert_becomes_stale(Row::Nothing, "fill", HOT).await;
    assert_becomes_stale(Row::Stopped, "fenced@fenced+400", HOT).await;
    assert_becomes_stale(Row::Disconnected, "faults", CHATS).await;
    assert_becomes_stale(Row::Restarted, "epoch", CHATS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_guard_each_row_is_stale() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    assert_becomes_stale(Row::Paused, "fill", HOT).await;
    assert_becomes_stale(Row::Mixed, "drain", HOT).await;
    assert_becomes_stale(Row::RepliesLost, "barrier", HOT).await;
    assert_becomes_stale(Row::InvalidationsDelayed, "barrier", HOT).await;
    assert_becomes_stale(Row::Expired, "absent", CHATS).await;
    assert_becomes_stale(Row::Promoted, "epoch", CHATS).await;
    assert_becomes_stale(Row::Flushed, "release", HOT).await;
    assert_becomes_stale(Row::Evicted, "lost", HOT).await;
    assert_becomes_stale(Row::Poisoned, "owner", CHATS).await;
}

/// The `weakened` program with all guards: stale reads come from the missing guard, not from the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_all_guards_nothing_is_stale() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(without("nothing")).await;
    let before = unfenced(&cluster).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Call, HOT).await;
    load.until_warm().await;
    heavy_load(&load).await;
    let outcome = load.end("with all guards").await;
    outcome.print();
    outcome.assert_fresh();
    if unfenced(&cluster).await == before {
        outcome.assert_never_stale();
    }
}

/// Row 4 without the release of fenced keys: the database ends the transaction of a stopped writer, and that suffices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_release_the_database_time_outs_suffice() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(without("fenced@fenced+400")).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Call, HOT).await;
    load.until_warm().await;
    rounds(async |_| stop(&cluster, &load).await).await;
    let outcome = load.end("row 4 with the database's time-outs alone").await;
    outcome.print();
    outcome.assert_fresh();
}

/// A writer that does not learn the outcome of its COMMIT leaves the old value behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_fences_an_unacknowledged_commit_leaves_an_old_value() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(without("fence@fenced+300")).await;
    let callers = cluster.callers("acme");
    for _ in 0..ROUNDS {
        let load = Load::start(&callers, Readers::Call, HOT).await;
        load.until_warm().await;
        leave_without_database(&cluster, &load, Proxy::lose_replies).await;
        let chats = load.chats();
        let outcome = load
            .end("disconnected from Postgres without the guard fence")
            .await;
        outcome.print();
        let is_stale = !outcome.report.is_clean();
        if is_stale || all_agree(&callers, &chats).await.is_none() {
            return;
        }
    }
    panic!("the cache always agreed with the database");
}

/// Copies are staler than the maximum.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_barrier_copies_exceed_the_maximum_staleness() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(|builder| without("barrier")(with_max_staleness(builder))).await;
    let callers = cluster.callers("acme");
    let load = Load::start(&callers, Readers::Call, HOT).await;
    load.until_warm().await;
    for _ in 0..ROUNDS {
        delay_invalidations(&cluster, &load).await;
        if load.stalest() > ALLOWED {
            break;
        }
    }
    let outcome = load
        .end("row 7, with a maximum staleness, without the guard barrier")
        .await;
    outcome.print();
    assert!(outcome.report.stalest() > ALLOWED, "{outcome}");
}

/// A new value followed by an old one, which must not occur even before the acknowledgement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_fences_reads_go_back_to_an_old_value() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let cluster = Cluster::start(without("fence")).await;
    let callers = cluster.callers("acme");
    // It takes two concurrent readers with SELECTs before and after a commit.
    for _ in 0..ROUNDS {
        let load = Load::start(&callers, Readers::Call, 1).await;
        load.until_warm().await;
        heavy_load(&load).await;
        let outcome = load.end("row 1 without the guard fence").await;
        outcome.print();
        if !outcome.report.is_clean() {
            return;
        }
    }
    panic!("no read went back to an old value");
}
