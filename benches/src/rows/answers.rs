//! Lists, statistics and searches: as hits beside a hit of a message, and in what users do all day, with a cache and without.

use parlance_testkit::{Parlance, Redis};

use crate::database::{Database, Kind};
use crate::find::Find;
use crate::lab::{Lab, Target};
use crate::load::{Call, Shape};
use crate::report::{Aim, Claim, Section};
use crate::turns::{Arm, in_turn};
use crate::{probe, statements};

/// Few enough that all are warm before measuring begins.
const MESSAGES: u64 = 2_000;
/// Each is another search, and a search that is no hit takes a thousand times as long.
const FOUND: u64 = 200;
/// One result each: a page of fifty would measure the socket.
const AIM: Aim = Aim::AtLeast(0.8);

const HITS: &str = "A message, a list of one conversation with its total, statistics, and a search that finds one, of 2,000 messages in\n\
    20 conversations; each is cached when measuring begins. A user's list is of one conversation, without its total;\n\
    a user's search finds 100 messages and shows 10. Neither has an aim: `bytes` says how much more there is to send.";
const MIX: &str = "Of a hundred calls 32 read a user's list of conversations, 32 a user's statistics, 31 the first 10 of the 100 messages\n\
    that a word finds at a user, and 5 send a message to one, at once: the simulator takes it and reports its delivery 250 ms later.\n\
    Each of these, the send, the outcome of its delivery and the report, ends what is kept of that user. 10,000 users with a\n\
    conversation each (1,000 with --quick); a hundredth of them has a fifth of the calls. Postgres, 64 calls at a time; the cache\n\
    begins empty. The deliveries' statements count, for both sides.";

const MESSAGE: &str = "message";

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    let section = |name: &str, about: &str| Section {
        name: name.to_owned(),
        about: about.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let (mut hits, mut mix) = (section("answers", HITS), section("mix", MIX));
    if lab.binary.is_none() {
        "not measured: it is about the service alone".clone_into(&mut hits.about);
        return vec![hits];
    }
    for (kind, backend) in [(Kind::Sqlite, "memory"), (Kind::Postgres, "redis")] {
        compare(lab, &mut hits, kind, backend);
    }
    all_day(lab, &mut mix);
    vec![hits, mix]
}

fn serve(lab: &Lab, database: &Database, backend: &str, redis: &Redis) -> Option<Parlance> {
    let mut env = vec![("CACHE_BACKEND", backend)];
    if backend == "redis" {
        env.push(("REDIS_URL", redis.url()));
    }
    let binary = lab.binary.as_ref()?;
    let service = lab.serve(binary, &database.url(), &env);
    // Asked, not believed; until the gate is open, too.
    let answers = backend == "off" || lab.wait(probe::answers_from(&service.grpc_url(), backend));
    answers.then_some(service)
}

fn compare(lab: &Lab, section: &mut Section, kind: Kind, backend: &str) {
    let database = Database::indexed(lab, kind, MESSAGES, "SELECT 1");
    let redis = Redis::start();
    let Some(service) = serve(lab, &database, backend, &redis) else {
        section.about.extend([
            "\nnot measured: ",
            backend,
            ": it does not answer from there",
        ]);
        return;
    };
    let target = Target::service(&service, database.pid(lab));
    let shape = lab.options.shapes().first().copied();
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
        let mut load = lab.load(&target, call, messages).shaped(shape);
        load.find = Find::One;
        Arm::new(name, move || load.measure())
    });
    let case = format!("{backend}, {shape}");
    // Once before, so that each is a hit.
    for arm in &measured {
        (arm.measure)();
    }
    let subjects = in_turn(&case, lab.options.rounds(), &measured);
    if let Some(message) = subjects.iter().find(|subject| subject.name == MESSAGE) {
        let others = subjects.iter().zip(arms).skip(1);
        let claims = others
            .map(|(subject, (_, _, is_one))| Claim::ratio(subject, message, is_one.then_some(AIM)));
        section.claims.extend(claims);
    }
    section.subjects.extend(subjects);
}

/// Each conversation is another user's.
const A_USER_EACH: &str =
    "UPDATE conversations SET user_label = 'user-' || CAST(substr(participant_to, 6) AS integer)";

fn all_day(lab: &Lab, section: &mut Section) {
    let (_, messages) = lab.options.sizes();
    let mut sides = Vec::new();
    for backend in ["off", "redis"] {
        let database = Database::indexed(lab, Kind::Postgres, messages, A_USER_EACH);
        let redis = Redis::start();
        if let Some(service) = serve(lab, &database, backend, &redis) {
            sides.push((backend, service, database, redis));
        }
    }
    let shape = Shape::new(8, 8);
    let arms: Vec<Arm<'_>> = sides
        .iter()
        .map(|(backend, service, database, _)| {
            let target = Target::service(service, database.pid(lab));
            let mut load = lab.load(&target, Call::Mix, messages).shaped(shape);
            load.users = messages;
            Arm::new(*backend, move || load.measure())
        })
        .collect();
    let subjects = in_turn("mix", lab.options.rounds(), &arms);
    let mut per_call = Vec::new();
    for ((backend, service, database, _), arm) in sides.iter().zip(&arms) {
        let url = service.grpc_url();
        let before = lab.wait(probe::looked_up(&url));
        let name = format!("mix-{backend}");
        // What is run while it warms up is logged, too, and counts for both sides alike.
        let (statements, requests) =
            statements::log(lab, &database.url(), &name, || (arm.measure)().requests);
        let after = lab.wait(probe::looked_up(&url));
        per_call.push(statements.per(requests));
        let (hits, misses) = (after.0 - before.0, after.1 - before.1);
        if hits + misses > 0 {
            let rate = hits as f64 / (hits + misses) as f64;
            section.claims.push(Claim::new(
                format!("{backend}: hit rate"),
                "",
                &[rate],
                Some(AIM),
            ));
        }
        let each = format!(
            "\n{backend}: {:.2} statements a call",
            statements.per(requests)
        );
        section.about.push_str(&each);
    }
    if let ([off, cached], [without, with]) = (per_call.as_slice(), subjects.as_slice()) {
        let left = Claim::new(
            "statements of the database, with a cache of those without".to_owned(),
            "",
            &[cached / off],
            Some(Aim::AtMost(0.6)),
        );
        section
            .claims
            .extend([left, Claim::ratio(with, without, None)]);
    }
    section.subjects.extend(subjects);
}
