//! Lists, statistics and searches as hits, compared to a hit of a message.

use parlance_testkit::{Parlance, Redis};

use crate::database::{Database, Kind};
use crate::find::Find;
use crate::harness::{Harness, Target};
use crate::load::{Call, Shape};
use crate::probe;
use crate::report::{Aim, Claim, Section};
use crate::rounds::{Arm, interleaved};

/// Few enough that all are cached before the measurement starts.
const MESSAGES: u64 = 2_000;
/// Each is a different search, and a search that misses takes a thousand times as long.
const FOUND: u64 = 200;
/// For one result each; a page of fifty would measure the socket.
const AIM: Aim = Aim::AtLeast(0.8);

const HITS: &str = "A message, a list of one conversation with its total, statistics, and a search that finds one, of 2,000 messages in\n\
    20 conversations; each is cached when the measurement starts. A user's list is of one conversation, without its total;\n\
    a user's search finds 100 messages and shows 10. Neither has an aim: `bytes` shows how much more is sent.";
const MESSAGE: &str = "message";

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let mut section = Section {
        name: "answers".to_owned(),
        about: HITS.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    if harness.binary.is_none() {
        "not measured: it concerns the service only".clone_into(&mut section.about);
        return vec![section];
    }
    for (kind, backend) in [(Kind::Sqlite, "memory"), (Kind::Postgres, "redis")] {
        compare(harness, &mut section, kind, backend);
    }
    vec![section]
}

/// Starts the service with a backend; `None` if it does not serve from that tier.
pub(super) fn serve(
    harness: &Harness,
    database: &Database,
    backend: &str,
    redis: &Redis,
) -> Option<Parlance> {
    let mut env = vec![("CACHE_BACKEND", backend)];
    if backend == "redis" {
        env.push(("REDIS_URL", redis.url()));
    }
    let binary = harness.binary.as_ref()?;
    let service = harness.serve(binary, &database.url(), &env);
    // Verified by a call, which also waits until the gate is open.
    let answers =
        backend == "off" || harness.wait(probe::serves_from(&service.grpc_url(), backend));
    answers.then_some(service)
}

fn compare(harness: &Harness, section: &mut Section, kind: Kind, backend: &str) {
    let database = Database::indexed(harness, kind, MESSAGES, "SELECT 1");
    let redis = Redis::start();
    let Some(service) = serve(harness, &database, backend, &redis) else {
        section.about.extend([
            "\nnot measured: ",
            backend,
            ": it does not serve from that tier",
        ]);
        return;
    };
    let target = Target::service(&service, database.pid(harness));
    let shape = harness.options.shapes().first().copied();
    let shape = shape.unwrap_or(Shape::new(8, 32));
    let arms = [
        (MESSAGE, Call::Get, true),
        ("list of one", Call::Total, true),
        ("statistics", Call::Stats, true),
        ("search for one", Call::Find, true),
        ("a user's list", Call::UserList, false),
        ("a user's search", Call::UserSearch, false),
    ];
    let measured = arms.map(|(name, call, _)| {
        let messages = if call == Call::Find { FOUND } else { MESSAGES };
        let mut load = harness.load(&target, call, messages).shaped(shape);
        load.find = Find::One;
        Arm::new(name, move || load.measure())
    });
    let case = format!("{backend}, {shape}");
    // A first run, so that all later reads are hits.
    for arm in &measured {
        (arm.measure)();
    }
    let subjects = interleaved(&case, harness.options.rounds(), &measured);
    if let Some(message) = subjects.iter().find(|subject| subject.name == MESSAGE) {
        let others = subjects.iter().zip(arms).skip(1);
        let claims = others
            .map(|(subject, (_, _, is_one))| Claim::ratio(subject, message, is_one.then_some(AIM)));
        section.claims.extend(claims);
    }
    section.subjects.extend(subjects);
}
