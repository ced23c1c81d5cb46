//! Whether a large backlog is delivered as fast at its end as at its beginning.

use super::{SERVICE_ALONE, section};
use crate::database::{Database, Kind};
use crate::deliver::throughput;
use crate::fill::jobs;
use crate::harness::Harness;
use crate::report::{Aim, Claim, Sample, Section, Subject};

const JOBS: u64 = 100_000;
/// Throughput should hardly depend on the remaining backlog.
const AIM: Aim = Aim::AtLeast(0.8);
/// Default of the service.
const WORKERS: usize = 64;
const FEW: u64 = 50;

const ABOUT: &str = "100,000 due deliveries (a tenth with --quick) by one dispatcher with 64 workers and a provider that accepts everything\n\
    at once: deliveries per second in the first, the sixth and the last tenth. With each delivery in a conversation of its\n\
    own, and with all in 50 conversations, where only the first of each can be claimed.";

pub(crate) fn measure(harness: &Harness) -> Section {
    let mut section = section("backlog", ABOUT);
    if harness.binary.is_none() {
        SERVICE_ALONE.clone_into(&mut section.about);
        return section;
    }
    let database = Database::filled(harness, Kind::Postgres, 0);
    let jobs = harness.options.jobs(JOBS);
    // One round only: each takes minutes, and a second one adds no information.
    for (case, conversations) in [("own", jobs), ("50 conversations", FEW)] {
        harness.wait(jobs::fill(&database.url(), jobs, conversations));
        let args = throughput::Args {
            url: database.url(),
            database_pid: harness.postgres().pid(),
            workers: WORKERS,
            jobs,
        };
        let throughput::Throughput { sample, tenths } = args.measure();
        eprintln!("{case}: {:.0}/s, by tenths {tenths:.0?}", sample.rate);
        let tenth = |n: usize| tenths.get(n).copied().unwrap_or(f64::NAN);
        let part = |name: &str, n| {
            let rate = Sample {
                rate: tenth(n),
                requests: jobs / 10,
                ..Sample::default()
            };
            Subject::new(case, name, vec![rate])
        };
        section.claims.push(Claim::new(
            format!("{case}: last tenth / first tenth"),
            "",
            &[tenth(9) / tenth(0)],
            Some(AIM),
        ));
        section.subjects.extend([
            Subject::new(case, "all", vec![sample]),
            part("first tenth", 0),
            part("sixth tenth", 5),
            part("last tenth", 9),
        ]);
    }
    section
}
