//! `ImportConversations`, new and repeated.

use std::cell::Cell;

use crate::database::{Database, Kind};
use crate::harness::{Harness, Target};
use crate::import;
use crate::message::PER_CONVERSATION;
use crate::report::{Aim, Claim, Section, Subject};
use crate::rounds::{Arm, interleaved};

const MESSAGES: u64 = 100_000;

const ABOUT: &str = "ImportConversations of conversations of 20 messages on one stream, every commit durable (fsync); then the same again,\n\
    when everything exists already. A request is a message here.";

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let mut section = Section {
        name: "import".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(binary) = harness.binary.as_deref() else {
        "not measured: it concerns the service only".clone_into(&mut section.about);
        return vec![section];
    };
    for (kind, aim) in [(Kind::Sqlite, 10_000.0), (Kind::Postgres, 20_000.0)] {
        let database = Database::filled(harness, kind, PER_CONVERSATION);
        let service = harness.serve(binary, &database.url(), &[]);
        let target = Target::service(&service, database.pid(harness));
        let round = Cell::new(0);
        let import_round = |name: u32| {
            let Target {
                url,
                pid,
                database_pid,
            } = target.clone();
            import::Args {
                url,
                pid,
                database_pid,
                messages: harness.options.jobs(MESSAGES),
                name: format!("round {name}"),
            }
            .measure()
        };
        let arms = [
            Arm::new("new", || {
                round.set(round.get() + 1);
                import_round(round.get())
            }),
            Arm::new("once more", || import_round(round.get())),
        ];
        let subjects = interleaved(&kind.to_string(), harness.options.rounds(), &arms);
        let new = subjects.iter().take(1);
        section.claims.extend(new.map(|new| claim(new, aim)));
        section.subjects.extend(subjects);
    }
    vec![section]
}

fn claim(subject: &Subject, aim: f64) -> Claim {
    let rates: Vec<f64> = subject.rounds.iter().map(|sample| sample.rate).collect();
    let what = format!("{}: {} messages", subject.case, subject.name);
    Claim::new(what, "/s", &rates, Some(Aim::AtLeast(aim)))
}
