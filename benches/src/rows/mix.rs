//! What users do all day, with a cache and without.

use parlance_testkit::{Parlance, Redis};

use super::answers::serve;
use crate::database::{Database, Kind};
use crate::harness::{Lab, Target};
use crate::load::{self, Call, Shape};
use crate::probe::{self, Looked};
use crate::report::{Aim, Claim, Sample, Section, Subject};
use crate::rounds::{Arm, in_turn};
use crate::statements;

const ABOUT: &str = "Of a hundred calls 32 read a user's list of conversations, 32 a user's statistics, 31 the first 10 of the 100 messages\n\
    that a word finds at a user, and 5 send a message to one, at once: the simulator takes it and reports its delivery 250 ms later.\n\
    Each of these, the send, the outcome of its delivery and the report, ends what is kept of that user. 10,000 users with a\n\
    conversation each (1,000 with --quick); a hundredth of them has a fifth of the calls. Postgres, 64 calls at a time. What users\n\
    read is counted after a first round, which is for whom nobody had asked before; values live 300 s and more, a round shorter.\n\
    The deliveries' statements and time count, for both sides.";
const ALL: &str = "all of them";
const ROUND: f64 = 20.0;
/// Enough to count statements, of which each is written to a log.
const LOGGED: f64 = 3.0;
const SHAPE: Shape = Shape::new(8, 8);
/// Each conversation is another user's.
const A_USER_EACH: &str =
    "UPDATE conversations SET user_label = 'user-' || CAST(substr(participant_to, 6) AS integer)";

struct Side {
    name: &'static str,
    service: Parlance,
    database: Database,
    _redis: Redis,
}

impl Side {
    fn new(lab: &Lab, backend: &'static str) -> Option<Self> {
        let (_, messages) = lab.options.sizes();
        let database = Database::indexed(lab, Kind::Postgres, messages, A_USER_EACH);
        let redis = Redis::start();
        let service = serve(lab, &database, backend, &redis)?;
        Some(Self {
            name: backend,
            service,
            database,
            _redis: redis,
        })
    }

    fn load(&self, lab: &Lab) -> load::Args {
        let (_, messages) = lab.options.sizes();
        let target = Target::service(&self.service, self.database.pid(lab));
        let mut load = lab.load(&target, Call::Mix, messages).shaped(SHAPE);
        load.users = messages;
        load.seconds = lab.options.seconds_or(ROUND);
        load
    }

    fn looked_up(&self, lab: &Lab) -> Looked {
        lab.wait(probe::looked_up(&self.service.grpc_url()))
    }

    /// How many statements a call is, of those that its deliveries take, too.
    fn statements(&self, lab: &Lab) -> f64 {
        let load = load::Args {
            // What is run while it warms up would be logged, too.
            warmup: 0.0,
            seconds: LOGGED,
            ..self.load(lab)
        };
        let name = format!("mix-{}", self.name);
        let run = || load.measure().requests;
        let (statements, requests) = statements::log(lab, &self.database.url(), &name, run);
        statements.per(requests)
    }
}

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    let mut section = Section {
        name: "mix".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    if lab.binary.is_none() {
        "not measured: it is about the service alone".clone_into(&mut section.about);
        return vec![section];
    }
    let sides = ["off", "redis"].map(|backend| Side::new(lab, backend));
    let [Some(off), Some(cached)] = sides else {
        "not measured: the service does not answer from its cache".clone_into(&mut section.about);
        return vec![section];
    };
    let arms = [&off, &cached].map(|side| {
        let load = side.load(lab);
        Arm::new(side.name, move || load.measure())
    });
    for arm in &arms {
        (arm.measure)();
    }
    let before = cached.looked_up(lab);
    let subjects = in_turn("mix", lab.options.rounds(), &arms);
    let looked = cached.looked_up(lab);
    section
        .claims
        .push(hit_rate(ALL, &looked, &before, |_| true));
    for kind in probe::OF_USERS {
        section
            .claims
            .push(hit_rate(kind, &looked, &before, |of| of == kind));
    }
    let (without, with) = (off.statements(lab), cached.statements(lab));
    let each = format!("\nStatements a call: {without:.2} without a cache, {with:.2} with it.");
    section.about.push_str(&each);
    if let [without_cache, with_cache] = subjects.as_slice() {
        section.claims.extend([
            work_left(with_cache, without_cache),
            Claim::new(
                "statements, with a cache of those without".to_owned(),
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

/// Of what was asked for, what was there.
fn hit_rate(kind: &str, looked: &Looked, before: &Looked, counts: impl Fn(&str) -> bool) -> Claim {
    let sum = |of: &Looked| {
        let counted = of.iter().filter(|(kind, _)| counts(kind));
        counted.fold((0, 0), |sum, (_, one)| (sum.0 + one.0, sum.1 + one.1))
    };
    let ((hits, misses), (hits_before, misses_before)) = (sum(looked), sum(before));
    let hits = (hits - hits_before) as f64;
    let rate = hits / (hits + (misses - misses_before) as f64);
    // The target is for what users read, whatever it is.
    let aim = (kind == ALL).then_some(Aim::AtLeast(0.8));
    Claim::new(format!("hit rate: {kind}"), "", &[rate], aim)
}

/// What the database works for a call, with a cache, of what it works without one.
fn work_left(with: &Subject, without: &Subject) -> Claim {
    let rounds = with.rounds.iter().zip(&without.rounds);
    let work = |sample: &Sample| sample.database_cpu_us.unwrap_or(f64::NAN);
    let left: Vec<f64> = rounds
        .map(|(with, without)| work(with) / work(without))
        .collect();
    Claim::new(
        "the database's CPU for a call, with a cache of that without".to_owned(),
        "",
        &left,
        Some(Aim::AtMost(0.6)),
    )
}
