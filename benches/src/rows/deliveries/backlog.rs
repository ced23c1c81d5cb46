//! Whether a long queue is worked off as fast at its end as at its beginning.

use super::{SERVICE_ALONE, section};
use crate::database::{Database, Kind};
use crate::deliver::throughput;
use crate::fill::jobs;
use crate::harness::Lab;
use crate::report::{Aim, Claim, Sample, Section, Subject};

const JOBS: u64 = 100_000;
/// What is flat hardly depends on how much is left.
const AIM: Aim = Aim::AtLeast(0.8);
/// As the service has by default.
const WORKERS: usize = 64;
const FEW: u64 = 50;

const ABOUT: &str = "100,000 jobs that are due (a tenth with --quick), worked off by one dispatcher with 64 workers over a provider\n\
    that takes everything at once: jobs a second in the first, the sixth and the last tenth. With each job in a\n\
    conversation of its own, and with all in 50 conversations, where only the first of each can be claimed.";

pub(crate) fn measure(lab: &Lab) -> Section {
    let mut section = section("drain", ABOUT);
    if lab.binary.is_none() {
        SERVICE_ALONE.clone_into(&mut section.about);
        return section;
    }
    let database = Database::filled(lab, Kind::Postgres, 0);
    let jobs = lab.options.jobs(JOBS);
    // Each takes minutes; that of the longer lines says no more the second time.
    for (case, conversations) in [("own", jobs), ("50 lines", FEW)] {
        lab.wait(jobs::fill(&database.url(), jobs, conversations));
        let args = throughput::Args {
            url: database.url(),
            database_pid: lab.postgres().pid(),
            workers: WORKERS,
            jobs,
        };
        let drain::Drained { sample, tenths } = args.measure();
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
