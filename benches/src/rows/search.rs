//! `SearchMessages` of every kind, without a cache.

use clap::ValueEnum as _;

use crate::database::{Database, Kind};
use crate::find::{CHANGES, Find};
use crate::harness::{Harness, Target};
use crate::load::{Call, Shape};
use crate::report::{Aim, Claim, Section, Subject};
use crate::rounds::{Arm, interleaved};

const AIM: Aim = Aim::AtMost(50.0);
/// One call at a time: the delay that a caller sees.
const SHAPE: Shape = Shape::new(1, 1);

const ABOUT: &str = "SearchMessages (a page of 50) among many messages of one owner, one at a time, without a cache.\n\
    Of each 5,000 messages one is FAILED, one SENT, one INBOUND and one MMS; none is PENDING, and all others are equal.\n\
    The claims are 99th percentiles in milliseconds.";

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let mut section = Section {
        name: "search".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(binary) = harness.binary.as_deref() else {
        "not measured: it concerns the service only".clone_into(&mut section.about);
        return vec![section];
    };
    let (_, messages) = harness.options.sizes();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let database = Database::indexed(harness, kind, messages, CHANGES);
        let service = harness.serve(binary, &database.url(), &[("CACHE_BACKEND", "off")]);
        let target = Target::service(&service, database.pid(harness));
        let arms: Vec<Arm<'_>> = Find::value_variants()
            .iter()
            .map(|find| {
                let mut load = harness.load(&target, Call::Find, messages).shaped(SHAPE);
                load.find = *find;
                Arm::new(format!("{find:?}"), move || load.measure())
            })
            .collect();
        let subjects = interleaved(&kind.to_string(), harness.options.rounds(), &arms);
        section.claims.extend(subjects.iter().map(claim));
        section.subjects.extend(subjects);
    }
    vec![section]
}

fn claim(subject: &Subject) -> Claim {
    let waits = subject.rounds.iter();
    let waits: Vec<f64> = waits
        .map(|sample| sample.p99_us.map_or(f64::NAN, |micros| micros / 1e3))
        .collect();
    let what = format!("{}: {}, p99", subject.case, subject.name);
    Claim::new(what, " ms", &waits, Some(AIM))
}
