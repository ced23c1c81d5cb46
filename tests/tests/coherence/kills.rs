//! Row 3: a writer dies at each point of its way, and what it leaves behind is as good as new before its fence has ended.
//!
//! At random moments a process dies mostly where nothing is (see `torture`); here it ends itself at the point that is asked for.

use std::time::{Duration, Instant};

use parlance_proto::v1;
use parlance_testkit::{eventually, torture, torture_time};
use parlance_tests::Caller;

use crate::agreement::all_agree;
use crate::cluster::{Cluster, INSTANCES, turn};
use crate::dice::Dice;
use crate::guards::without;
use crate::load::{Load, Readers};
use crate::outcome::{Outcome, tell};

/// As they are called by the program that dies.
const POINTS: [&str; 5] = [
    "locked",
    "fenced",
    "committed",
    "released",
    "unacknowledged",
];
/// At each point, if there is time.
const KILLS: usize = 200;
/// Few conversations: whoever dies has been writing to what the others read.
const HOT: usize = 3;
/// Nobody writes to these again, so what is left behind there stays. It dies by one of so many writes.
const LATEST: u64 = 12;
/// It dies by then.
const PATIENCE: Duration = Duration::from_mins(2);

/// Kills and what was left.
struct Graves {
    cluster: Cluster,
    callers: Vec<Caller>,
    guard: &'static str,
    dice: Dice,
    number: usize,
}

impl Graves {
    async fn dig(guard: &'static str) -> Self {
        let cluster = Cluster::start(without(guard)).await;
        let (callers, seed) = (cluster.callers("acme"), parlance_testkit::seed());
        tell(format!("row 3 at its points, seed {seed}"));
        Self {
            cluster,
            callers,
            guard,
            dice: Dice::new(seed),
            number: 0,
        }
    }

    /// One instance after the other dies at this point, amid a load; how long it took from then until everybody said what the
    /// rows say, or `None` if that took longer than a fence stands.
    async fn kill_at(&mut self, point: &str) -> (Outcome, Option<Duration>) {
        // Not the first, at which the load's conversations are made.
        let victim = 1 + self.number % (INSTANCES - 1);
        self.number += 1;
        let (guard, nth) = (self.guard, 1 + self.dice.below(LATEST));
        let service = &mut self.cluster.services[victim];
        service.kill9();
        let dying = format!("{guard}@{point}:{nth}");
        service.start_again_with(|builder| builder.arg(dying)).await;
        // Until the connection to the one before is found dead.
        let asked = async || {
            self.callers[victim]
                .ask(v1::GetStatsRequest::default())
                .await
                .ok()
        };
        eventually(PATIENCE, asked).await;
        let load = Load::start(&self.callers, Readers::Ask, HOT).await;
        let service = &mut self.cluster.services[victim];
        eventually(PATIENCE, async || service.exited()).await;
        let died = Instant::now();
        let chats = load.chats();
        let outcome = load.end(&format!("row 3: killed when {point}")).await;
        service.start_again().await;
        let clean = all_agree(&self.callers, &chats).await;
        (outcome, clean.map(|_| died.elapsed()))
    }
}

/// The worst of a point.
#[derive(Default)]
struct Tally {
    kills: usize,
    reads: usize,
    slowest: Duration,
}

async fn all_die(rounds: usize, time: Duration) {
    let mut graves = Graves::dig("nothing").await;
    let began = Instant::now();
    let mut tallies: [Tally; POINTS.len()] = Default::default();
    for round in 0..rounds {
        if round > 0 && began.elapsed() >= time {
            break;
        }
        for (point, tally) in POINTS.iter().zip(&mut tallies) {
            let (outcome, clean) = graves.kill_at(point).await;
            assert!(outcome.broken().is_empty(), "{outcome}");
            let clean = clean.unwrap_or_else(|| panic!("what is old stays: {outcome}"));
            tally.kills += 1;
            tally.reads += outcome.report.reads;
            tally.slowest = tally.slowest.max(clean);
        }
    }
    for (point, tally) in POINTS.iter().zip(tallies) {
        let Tally {
            kills,
            reads,
            slowest,
        } = tally;
        tell(format!(
            "row 3: {kills} killed when {point}, {reads} reads, clean after {slowest:.1?} at most"
        ));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dies_leaves_nothing_old_behind() {
    let _turn = turn().await;
    if torture() {
        all_die(KILLS, torture_time()).await;
    } else {
        all_die(1, Duration::ZERO).await;
    }
}

/// Whoever dies between its commit and its release leaves the old value behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_fences_the_dead_leave_what_is_old() {
    if !torture() {
        return;
    }
    let _turn = turn().await;
    let mut graves = Graves::dig("fence").await;
    // It takes a reader who had asked for what was written last.
    for _ in 0..KILLS {
        let (outcome, clean) = graves.kill_at("committed").await;
        outcome.tell();
        if clean.is_none() {
            return;
        }
    }
    panic!("the cache always agreed with the database");
}
