//! Runs one load against three protocols while Redis and instances are killed, stopped and disconnected, and counts
//! stale reads.
//!
//! `prove [--seed <number>]`, or `make prove`. It exits with success only if our protocol has no stale read and each of
//! the others has some: a load under which the others have none would prove nothing about ours. `prove serve
//! --ports-json <protocol>` is the service that it starts for the other protocols.

mod faults;
mod load;
mod rig;
mod rivals;
mod screen;
mod verdict;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use parlance_testkit::Postgres;
use tokio::time::{sleep, timeout};

use crate::faults::Stage;
use crate::rig::{Protocol, Rig};
use crate::rivals::Rival;
use crate::screen::Screen;
use crate::verdict::Verdict;

/// The allocator of the product, so that only the protocol differs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The command that was given.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    Serve(Rival),
    Prove(u64),
}

impl Task {
    fn parse(args: &[String]) -> Option<Self> {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        match *args {
            [] => Some(Self::Prove(parlance_testkit::seed())),
            ["--seed", seed] => Some(Self::Prove(seed.parse().ok()?)),
            ["serve", "--ports-json", rival] => Some(Self::Serve(Rival::parse(rival)?)),
            _ => None,
        }
    }
}

/// Time limit for the whole run: a minute, less what it takes to end.
const TIME_LIMIT: Duration = Duration::from_secs(56);

/// Our protocol waits where the others do not, so fewer reads race with its writes. Its load runs on until it has as
/// many races as the others, if there is time.
async fn even_out(rigs: &mut [Rig], stage: &Stage, within: Duration) {
    stage.say("running until our protocol has as many races as the others");
    let mut races = 0;
    for rig in &mut *rigs {
        if rig.protocol != Protocol::Ours {
            rig.rest().await;
            races = races.max(rig.load().tally().races);
        }
    }
    for rig in rigs {
        let load = rig.load();
        let enough = async {
            while rig.protocol == Protocol::Ours && load.tally().races < races {
                sleep(Duration::from_millis(50)).await;
            }
        };
        // With fewer races the bound is larger, and the verdict prints the bound.
        let _ = timeout(within, enough).await;
    }
}

async fn prove(seed: u64) -> Verdict {
    let began = Instant::now();
    let mut screen = Screen::new(seed);
    screen.say("starting a database and, for each protocol, a Redis and three services");
    let postgres = tokio::task::spawn_blocking(Postgres::shared);
    postgres.await.expect("a throw-away Postgres");
    let mut rigs = join_all(Protocol::ALL.map(Rig::start)).await;
    for rig in &mut rigs {
        rig.begin(seed);
    }
    let stage = Stage::default();
    let watching = screen.watch(&rigs, &stage);
    faults::play(&mut rigs, &stage).await;
    even_out(
        &mut rigs,
        &stage,
        TIME_LIMIT.saturating_sub(began.elapsed()),
    )
    .await;
    stage.end();
    let mut screen = watching.await.expect("a screen that does not fail");
    screen.say("checking the history");
    let ended = join_all(rigs.into_iter().map(Rig::end)).await;
    screen.end(&ended);
    Verdict::of(&ended)
}

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match Task::parse(&args) {
        Some(Task::Serve(rival)) => {
            rivals::serve(rival).await;
            ExitCode::SUCCESS
        }
        Some(Task::Prove(seed)) => {
            let verdict = prove(seed).await;
            screen::print_line(&verdict.to_string());
            verdict.code()
        }
        None => {
            screen::print_line("usage: prove [--seed <number>]");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Task> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Task::parse(&args)
    }

    #[test]
    fn arguments_are_parsed() {
        assert_eq!(parse("--seed 7"), Some(Task::Prove(7)));
        assert!(matches!(parse(""), Some(Task::Prove(_))));
        for rival in Rival::ALL {
            let line = format!("serve --ports-json {}", rival.as_str());
            assert_eq!(parse(&line), Some(Task::Serve(rival)));
        }
        for line in ["--seed", "--seed x", "serve", "serve --ports-json ours"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
