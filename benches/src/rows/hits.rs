//! `GetMessage` as a hit of each tier, against a bare tonic server and against one that makes one GET.

use parlance_testkit::Redis;

use crate::child::Server;
use crate::database::{Database, Kind};
use crate::harness::{Harness, Target};
use crate::load::{Call, Shape};
use crate::probe;
use crate::report::{Aim, Claim, Section, Subject};
use crate::rounds::{Arm, interleaved};

/// Few enough that all are cached before the measurement starts.
const MESSAGES: u64 = 2_000;

const BARE: &str = "bare tonic";
const GET: &str = "bare tonic + GET";
const MEMORY: &str = "parlance, memory hit";
const HYBRID: &str = "parlance, strict hybrid hit";
const BOUNDED: &str = "parlance, hybrid hit, up to 1 s old";
const REDIS: &str = "parlance, redis hit";

const ABOUT: &str = "GetMessage of 2,000 cached messages, in the connection shapes of its cases (connections x streams).\n\
    bare tonic returns one fixed message; + GET reads it from Redis over one shared connection.";

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let redis = Redis::start();
    let bare = Server::start(&["bare", "--runtime", "multi-thread"].map(str::to_owned));
    let (url, messages) = (redis.url().to_owned(), MESSAGES.to_string());
    let get = ["bare-redis", "--redis", &url, "--messages", &messages];
    let get = Server::start(&get.map(str::to_owned));
    let mut targets = vec![
        (BARE, Target::server(&bare, None)),
        (GET, Target::server(&get, None)),
    ];
    let mut services = Vec::new();
    let mut about = ABOUT.to_owned();
    if let Some(binary) = &harness.binary {
        let bounded = [("CACHE_MAX_STALENESS_MS", "1000")];
        for (name, kind, cache, more) in [
            (MEMORY, Kind::Sqlite, "memory", &[][..]),
            (HYBRID, Kind::Postgres, "hybrid", &[]),
            (BOUNDED, Kind::Postgres, "hybrid", &bounded),
            (REDIS, Kind::Postgres, "redis", &[]),
        ] {
            let database = Database::filled(harness, kind, MESSAGES);
            // Each service has its own Redis: the epoch of one database has no meaning for another.
            let redis = Redis::start();
            let mut env = vec![("CACHE_BACKEND", cache)];
            if cache != "memory" {
                env.push(("REDIS_URL", redis.url()));
            }
            env.extend(more);
            let service = harness.serve(binary, &database.url(), &env);
            let from = if cache == "redis" { "redis" } else { "memory" };
            // Verified by a call: a service that ignores the setting would be measured as something else.
            if !harness.wait(probe::serves_from(&service.grpc_url(), from)) {
                about.extend([
                    "\nnot measured: ",
                    name,
                    ": it does not serve from that tier",
                ]);
                continue;
            }
            targets.push((name, Target::service(&service, None)));
            services.push((service, database, redis));
        }
    }
    let shapes = harness.options.shapes().iter();
    let cases: Vec<Vec<Subject>> = shapes
        .map(|shape| case(harness, *shape, &targets))
        .collect();
    let claims = cases.iter().flat_map(|subjects| claims(subjects));
    vec![Section {
        name: "hits".to_owned(),
        about,
        claims: claims.collect(),
        subjects: cases.into_iter().flatten().collect(),
    }]
}

fn case(harness: &Harness, shape: Shape, targets: &[(&str, Target)]) -> Vec<Subject> {
    let arm = |(name, target): &(&str, Target)| {
        let load = harness.load(target, Call::Get, MESSAGES).shaped(shape);
        Arm::new(*name, move || load.measure())
    };
    let arms: Vec<Arm<'_>> = targets.iter().map(arm).collect();
    interleaved(&shape.to_string(), harness.options.rounds(), &arms)
}

fn claims(subjects: &[Subject]) -> Vec<Claim> {
    let find = |name: &str| subjects.iter().find(|subject| subject.name == name);
    let claim = |(of, against, aim)| Some(Claim::ratio(find(of)?, find(against)?, aim));
    let wanted = [
        (MEMORY, BARE, Some(Aim::AtLeast(0.9))),
        (HYBRID, BARE, Some(Aim::AtLeast(0.6))),
        (BOUNDED, BARE, None),
        (REDIS, GET, Some(Aim::AtLeast(0.8))),
    ];
    wanted.into_iter().filter_map(claim).collect()
}
