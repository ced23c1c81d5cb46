//! Typical requests of users, with and without a cache.

use parlance_testkit::{Parlance, Redis};

use super::answers::serve;
use crate::database::{Database, Kind};
use crate::harness::{Harness, Target};
use crate::load::{self, Call, Shape};
use crate::probe::{self, Lookups};
use crate::report::{Aim, Claim, Sample, Section, Subject};
use crate::rounds::{Arm, interleaved};
use crate::statements;

const ABOUT: &str = "Of a hundred calls 32 read a user's list of conversations, 32 a user's statistics, 31 the first 10 of the 100 messages\n\
    that a word finds for a user, and 5 send a message to one, at once: the simulator accepts it and reports its delivery 250 ms\n\
    later. The send, the outcome of its delivery and the report each invalidate what is cached for that user. 10,000 users with\n\
    one conversation each (1,000 with --quick); a hundredth of them gets a fifth of the calls. Postgres, 64 concurrent calls.\n\
    Hits are counted after a first round, which reads for users that were not read before; values live 300 s and more, a round\n\
    is shorter. Statements and CPU time of the deliveries count, for both sides.";
const ALL: &str = "all of them";
const ROUND: f64 = 20.0;
/// Enough to count statements, each of which is logged.
const LOGGED: f64 = 3.0;
const SHAPE: Shape = Shape::new(8, 8);
/// Assigns each conversation to a different user.
const A_USER_EACH: &str =
    "UPDATE conversations SET user_label = 'user-' || CAST(substr(participant_to, 6) AS integer)";

struct Side {
    name: &'static str,
    service: Parlance,
    database: Database,
    _redis: Redis,
}

impl Side {
    fn new(harness: &Harness, backend: &'static str) -> Option<Self> {
        let (_, messages) = harness.options.sizes();
        let database = Database::indexed(harness, Kind::Postgres, messages, A_USER_EACH);
        let redis = Redis::start();
        let service = serve(harness, &database, backend, &redis)?;
        Some(Self {
            name: backend,
            service,
            database,
            _redis: redis,
        })
    }

    fn load(&self, harness: &Harness) -> load::Args {
        let (_, messages) = harness.options.sizes();
        let target = Target::service(&self.service, self.database.pid(harness));
        let mut load = harness.load(&target, Call::Mix, messages).shaped(SHAPE);
        load.users = messages;
        load.seconds = harness.options.seconds_or(ROUND);
        load
    }

    fn lookups(&self, harness: &Harness) -> Lookups {
        harness.wait(probe::lookups(&self.service.grpc_url()))
    }

    /// Returns the number of statements per call, including those of its deliveries.
    fn statements(&self, harness: &Harness) -> f64 {
        let load = load::Args {
            // Statements of a warm-up would be logged too.
            warmup: 0.0,
            seconds: LOGGED,
            ..self.load(harness)
        };
        let name = format!("mix-{}", self.name);
        let run = || load.measure().requests;
        let (statements, requests) = statements::log(harness, &self.database.url(), &name, run);
        statements.per(requests)
    }
}

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let mut section = Section {
        name: "mix".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    if harness.binary.is_none() {
        "not measured: it concerns the service only".clone_into(&mut section.about);
        return vec![section];
    }
    let sides = ["off", "redis"].map(|backend| Side::new(harness, backend));
    let [Some(off), Some(cached)] = sides else {
        "not measured: the service does not serve from its cache".clone_into(&mut section.about);
        return vec![section];
    };
    let arms = [&off, &cached].map(|side| {
        let load = side.load(harness);
        Arm::new(side.name, move || load.measure())
    });
    for arm in &arms {
        (arm.measure)();
    }
    let before = cached.lookups(harness);
    let subjects = interleaved("mix", harness.options.rounds(), &arms);
    let after = cached.lookups(harness);
    section
        .claims
        .push(hit_rate(ALL, &after, &before, |_| true));
    for kind in probe::OF_USERS {
        section
            .claims
            .push(hit_rate(kind, &after, &before, |of| of == kind));
    }
    let (without, with) = (off.statements(harness), cached.statements(harness));
    let each = format!("\nStatements per call: {without:.2} without a cache, {with:.2} with it.");
    section.about.push_str(&each);
    if let [without_cache, with_cache] = subjects.as_slice() {
        section.claims.extend([
            work_left(with_cache, without_cache),
            Claim::new(
                "statements per call, with cache / without cache".to_owned(),
                "",
                &[with / without],
                None,
            ),
            Claim::ratio(with_cache, without_cache, None),
        ]);
    }
    section.subjects.extend(subjects);
    vec![section]
}

/// Returns the share of hits among the lookups.
fn hit_rate(kind: &str, after: &Lookups, before: &Lookups, counts: impl Fn(&str) -> bool) -> Claim {
    let sum = |of: &Lookups| {
        let counted = of.iter().filter(|(kind, _)| counts(kind));
        counted.fold((0, 0), |sum, (_, one)| (sum.0 + one.0, sum.1 + one.1))
    };
    let ((hits, misses), (hits_before, misses_before)) = (sum(after), sum(before));
    let hits = (hits - hits_before) as f64;
    let rate = hits / (hits + (misses - misses_before) as f64);
    // The aim applies to all reads of users together.
    let aim = (kind == ALL).then_some(Aim::AtLeast(0.8));
    Claim::new(format!("hit rate: {kind}"), "", &[rate], aim)
}

/// Returns the CPU time of the database per call with a cache, relative to that without.
fn work_left(with: &Subject, without: &Subject) -> Claim {
    let rounds = with.rounds.iter().zip(&without.rounds);
    let work = |sample: &Sample| sample.database_cpu_us.unwrap_or(f64::NAN);
    let left: Vec<f64> = rounds
        .map(|(with, without)| work(with) / work(without))
        .collect();
    Claim::new(
        "database CPU per call, with cache / without cache".to_owned(),
        "",
        &left,
        Some(Aim::AtMost(0.6)),
    )
}
