//! Row 3: a writer dies at each point of a write, and the values that it leaves behind are fresh before its fence has
//! expired.
//!
//! At a random time a process mostly dies outside of a write (see `torture`); here it aborts itself at the given point.

use std::time::{Duration, Instant};

use parlance_proto::v1;
use parlance_testkit::{eventually, torture, torture_time};
use parlance_tests::Caller;

use crate::agreement::all_agree;
use crate::cluster::{Cluster, INSTANCES, exclusive};
use crate::dice::Dice;
use crate::guards::without;
use crate::load::{Load, Readers};
use crate::outcome::{Outcome, print};

/// The points, by their names in `weakened`.
const POINTS: [&str; 5] = [
    "locked",
    "fenced",
    "committed",
    "released",
    "unacknowledged",
];
/// Kills at each point, if there is time.
const KILLS: usize = 200;
/// Few conversations, so that the killed writer has been writing what the others read.
const HOT: usize = 3;
/// The process aborts at a random one of so many writes. The conversations are not written afterwards, so an old value
/// would stay.
const LATEST: u64 = 12;
/// Time-out of a kill.
const TIME_OUT: Duration = Duration::from_mins(2);

/// A cluster in which instances are killed.
struct KillTest {
    cluster: Cluster,
    callers: Vec<Caller>,
    guard: &'static str,
    dice: Dice,
    number: usize,
}

impl KillTest {
    async fn start(guard: &'static str) -> Self {
        let cluster = Cluster::start(without(guard)).await;
        let (callers, seed) = (cluster.callers("acme"), parlance_testkit::seed());
        print(format!("row 3 at its points, seed {seed}"));
        Self {
            cluster,
            callers,
            guard,
            dice: Dice::new(seed),
            number: 0,
        }
    }

    /// Lets one of the instances die at this point under load. Returns how long it took until every instance agreed
    /// with the database, or `None` if that took longer than a fence lasts.
    async fn kill_at(&mut self, point: &str) -> (Outcome, Option<Duration>) {
        // Not the first instance, at which the conversations of the load are created.
        let victim = 1 + self.number % (INSTANCES - 1);
        self.number += 1;
        let (guard, nth) = (self.guard, 1 + self.dice.below(LATEST));
        let service = &mut self.cluster.services[victim];
        service.kill9();
        let dying = format!("{guard}@{point}:{nth}");
        service.start_again_with(|builder| builder.arg(dying)).await;
        // Waits until the connection to the previous process is found dead.
        let reconnected = async || {
            self.callers[victim]
                .call(v1::GetStatsRequest::default())
                .await
                .ok()
        };
        eventually(TIME_OUT, reconnected).await;
        let load = Load::start(&self.callers, Readers::Call, HOT).await;
        let service = &mut self.cluster.services[victim];
        eventually(TIME_OUT, async || service.exited()).await;
        let died = Instant::now();
        let chats = load.chats();
        let outcome = load.end(&format!("row 3: killed when {point}")).await;
        service.start_again().await;
        let clean = all_agree(&self.callers, &chats).await;
        (outcome, clean.map(|_| died.elapsed()))
    }
}

/// Totals of a point.
#[derive(Default)]
struct PointStats {
    kills: usize,
    reads: usize,
    slowest: Duration,
}

async fn kill_at_all_points(rounds: usize, time: Duration) {
    let mut kills = KillTest::start("nothing").await;
    let began = Instant::now();
    let mut totals: [PointStats; POINTS.len()] = Default::default();
    for round in 0..rounds {
        if round > 0 && began.elapsed() >= time {
            break;
        }
        for (point, stats) in POINTS.iter().zip(&mut totals) {
            let (outcome, clean) = kills.kill_at(point).await;
            assert!(outcome.broken().is_empty(), "{outcome}");
            let clean = clean.unwrap_or_else(|| panic!("old values stay: {outcome}"));
            stats.kills += 1;
            stats.reads += outcome.report.reads;
            stats.slowest = stats.slowest.max(clean);
        }
    }
    for (point, stats) in POINTS.iter().zip(totals) {
        let PointStats {
            kills,
            reads,
            slowest,
        } = stats;
        print(format!(
            "row 3: {kills} killed when {point}, {reads} reads, clean after {slowest:.1?} at most"
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_writers_leave_no_old_value() {
    let _running = exclusive().await;
    if torture() {
        kill_at_all_points(KILLS, torture_time()).await;
    } else {
        kill_at_all_points(1, Duration::ZERO).await;
    }
}

/// A writer that dies between its commit and its release leaves the old value behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_fences_killed_writers_leave_old_values() {
    if !torture() {
        return;
    }
    let _running = exclusive().await;
    let mut kills = KillTest::start("fence").await;
    // It takes a reader that had cached the row that was written last.
    for _ in 0..KILLS {
        let (outcome, clean) = kills.kill_at("committed").await;
        outcome.print();
        if clean.is_none() {
            return;
        }
    }
    panic!("the cache always agreed with the database");
}
