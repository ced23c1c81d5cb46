//! The protocol's own code in a small world with its own time: a Redis, a database, connections that are slow, cut or moved, and
//! a seed that decides everything. Any failure comes again with its seed: `PARLANCE_SEED=<n> cargo test -p parlance-cache sim`, and
//! `PARLANCE_SEED=<from>..<to>` plays a range.
//!
//! Time is tokio's paused clock: it jumps to the next timer when nobody can go on, so a run of seconds takes a millisecond.

mod backlog;
mod database;
mod expiry;
mod faults;
mod history;
mod lapse;
mod mixed;
mod plan;
mod play;
mod redis;
mod single_flight;
mod stall;
mod tracking;
mod weak;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use plan::Plan;
use play::{Outcome, play};
use weak::Weakness;

/// How many seeds `make test` plays, and `make torture`.
const SEEDS: u64 = 10_000;
const TORTURE_SEEDS: u64 = 1_000_000;
/// A broken variant must be found out within so many.
const SEEDS_TO_FAIL: u64 = 4_000;

/// `PARLANCE_SEED` names one seed, or a range as `from..to`.
fn seeds() -> std::ops::Range<u64> {
    #[expect(clippy::disallowed_methods, reason = "a test is told how long to run")]
    let (named, torture) = (
        std::env::var("PARLANCE_SEED").ok(),
        std::env::var("PARLANCE_TORTURE").is_ok(),
    );
    let number = |text: &str| {
        text.parse::<u64>()
            .expect("PARLANCE_SEED is a number or from..to")
    };
    match named
        .as_deref()
        .map(|named| (named.split_once(".."), named))
    {
        Some((Some((from, to)), _)) => number(from)..number(to),
        Some((None, one)) => number(one)..number(one) + 1,
        None if torture => 0..TORTURE_SEEDS,
        None => 0..SEEDS,
    }
}

/// Plays seeds on both cores; the first that went wrong, and what was played in all.
fn play_all(
    range: std::ops::Range<u64>,
    plan: impl Fn(u64) -> Plan + Sync,
) -> (Outcome, Option<(u64, String)>) {
    let threads = 2;
    // The others go on only up to the first seed that was found, so that it is the first.
    let found = AtomicU64::new(u64::MAX);
    let results: Vec<(Outcome, Option<(u64, String)>)> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let (plan, range, found) = (&plan, range.clone(), &found);
                scope.spawn(move || {
                    let mut total = Outcome::default();
                    for seed in range.filter(|seed| seed % threads == thread) {
                        if seed > found.load(Ordering::Relaxed) {
                            break;
                        }
                        let played = catch_unwind(AssertUnwindSafe(|| play(seed, &plan(seed))));
                        match played {
                            Ok(Ok(outcome)) => total.add(&outcome),
                            Ok(Err(wrong)) => {
                                found.fetch_min(seed, Ordering::Relaxed);
                                return (total, Some((seed, wrong)));
                            }
                            Err(_) => return (total, Some((seed, "a panic".to_owned()))),
                        }
                    }
                    (total, None)
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    });
    let mut total = Outcome::default();
    let mut first: Option<(u64, String)> = None;
    for (outcome, wrong) in results {
        total.add(&outcome);
        if let Some(wrong) = wrong
            && first.as_ref().is_none_or(|known| wrong.0 < known.0)
        {
            first = Some(wrong);
        }
    }
    (total, first)
}

#[test]
fn no_seed_breaks_the_promise() {
    let (total, wrong) = play_all(seeds(), |seed| Plan::of_seed(seed, Weakness::None));
    println!("{total}");
    assert_eq!(wrong, None, "play it again with PARLANCE_SEED");
    if seeds().count() > 1 {
        assert!(total.is_worth_something(), "{total}");
    }
}

/// Each guard matters: without it some seed breaks the promise.
#[test]
fn every_guard_is_needed() {
    let mut useless = Vec::new();
    for weakness in Weakness::ALL {
        let (total, wrong) = play_all(0..SEEDS_TO_FAIL, |seed| Plan::of_seed(seed, weakness));
        match wrong {
            Some((seed, wrong)) => println!("{weakness:?}: seed {seed}: {wrong}"),
            None => useless.push((weakness, total.to_string())),
        }
    }
    assert_eq!(useless, []);
}
