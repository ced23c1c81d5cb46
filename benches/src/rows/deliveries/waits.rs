//! Delay from acceptance to hand-over under low load.

use super::{SERVICE_ALONE, section};
use crate::database::{Database, Kind};
use crate::deliver::wait;
use crate::harness::Harness;
use crate::message::PER_CONVERSATION;
use crate::report::{Aim, Claim, Section, Subject};

const AIM: Aim = Aim::AtMost(20.0);
const MESSAGES: u64 = 20_000;
const PER_SECOND: f64 = 50.0;
/// Cases, and their delay until the due time in milliseconds. The last is shorter than the dispatcher's polling
/// interval.
const CASES: [(&str, Option<u64>); 3] = [
    ("at once", None),
    ("in 1 s", Some(1_000)),
    ("in 200 ms", Some(200)),
];

const ABOUT: &str = "50 sends per second, and the time until the hand-over; `cpu us` is all that the process uses for a send and its\n\
    delivery. `accepted`: from the response to the sender. `due`: from the due time, which for a message that is due at\n\
    once is the start of its send, so it includes the send's own commit. Every commit is durable.";

pub(crate) fn measure(harness: &Harness) -> Section {
    let mut section = section("from acceptance to the provider", ABOUT);
    if harness.binary.is_none() {
        SERVICE_ALONE.clone_into(&mut section.about);
        return section;
    }
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = Database::filled(harness, kind, MESSAGES);
        for (name, ahead_ms) in CASES {
            let args = wait::Args {
                url: database.url(),
                conversations: MESSAGES / PER_CONVERSATION,
                rate: PER_SECOND,
                sends: if harness.options.quick { 250 } else { 1_000 },
                ahead_ms,
            };
            let case = format!("{kind}, {name}");
            let (mut accepted, mut due) = (Vec::new(), Vec::new());
            for round in 1..=harness.options.rounds() {
                let waits = args.measure();
                eprintln!(
                    "{case}, round {round}: p99 {:.0} us",
                    waits.due.p99_us.unwrap_or(f64::NAN)
                );
                accepted.push(waits.accepted);
                due.push(waits.due);
            }
            let due = Subject::new(&case, "due to provider", due);
            // A scheduled message is accepted long before its hand-over.
            let judged = if ahead_ms.is_none() {
                let accepted = Subject::new(&case, "accepted to provider", accepted);
                section.claims.push(p99(&accepted));
                section.subjects.push(accepted);
                p99(&due)
            } else {
                p99(&due)
            };
            section.claims.push(judged);
            section.subjects.push(due);
        }
    }
    section
}

fn p99(subject: &Subject) -> Claim {
    let millis: Vec<f64> = subject
        .rounds
        .iter()
        .map(|sample| sample.p99_us.unwrap_or(f64::NAN) / 1000.0)
        .collect();
    let what = format!("p99 of {}: {}", subject.case, subject.name);
    Claim::new(what, " ms", &millis, Some(AIM))
}
