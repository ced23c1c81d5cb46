//! `GetMessage`, against a bare tonic server and against one that makes one SELECT.

use crate::child::Server;
use crate::database::{Database, Kind};
use crate::harness::{Harness, POOL, Target};
use crate::load::{Call, Shape};
use crate::probe;
use crate::report::{Aim, Claim, Section, Subject};
use crate::rounds::{Arm, interleaved};

const MESSAGES: u64 = 10_000;
const SELECT_AIM: Aim = Aim::AtLeast(0.7);

const BARE: &str = "bare tonic, one runtime";
const PER_CORE: &str = "bare tonic, a runtime per core";
const SELECT: &str = "bare tonic + SELECT";
const POSTGRES: &str = "parlance, Postgres, no cache";
const POSTGRES_CACHED: &str = "parlance, Postgres, memory cache";
const SQLITE: &str = "parlance, SQLite, memory cache";
const SQLITE_UNCACHED: &str = "parlance, SQLite, no cache";

const ABOUT: &str = "GetMessage of 10,000 messages, in the connection shapes of its cases (connections x streams).\n\
    cpu us: CPU time of the server per request, in microseconds; db cpu: the same of Postgres.\n\
    bare tonic returns one fixed message; + SELECT reads the row with one prepared statement on as many connections.";

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let postgres = Database::filled(harness, Kind::Postgres, MESSAGES);
    let postgres_pid = postgres.pid(harness);
    let bare = Server::start(&["bare", "--runtime", "multi-thread"].map(str::to_owned));
    let per_core = Server::start(&["bare", "--runtime", "per-core"].map(str::to_owned));
    let (url, pool) = (postgres.url(), POOL.to_string());
    let select = ["bare-pg", "--database", &url, "--connections", &pool];
    let select = Server::start(&select.map(str::to_owned));
    let mut targets = vec![
        (BARE, Target::server(&bare, None)),
        (PER_CORE, Target::server(&per_core, None)),
        (SELECT, Target::server(&select, postgres_pid)),
    ];

    let mut services = Vec::new();
    let mut about = ABOUT.to_owned();
    if let Some(binary) = &harness.binary {
        let sqlite = Database::filled(harness, Kind::Sqlite, MESSAGES);
        // A service with a memory cache locks its database, so the service without one uses another.
        let other_sqlite = Database::filled(harness, Kind::Sqlite, MESSAGES);
        let other_postgres = Database::filled(harness, Kind::Postgres, MESSAGES);
        for (name, database, cache) in [
            (POSTGRES, postgres, "off"),
            (POSTGRES_CACHED, other_postgres, "memory"),
            (SQLITE, sqlite, "memory"),
            (SQLITE_UNCACHED, other_sqlite, "off"),
        ] {
            let service = harness.serve(binary, &database.url(), &[("CACHE_BACKEND", cache)]);
            // Verified by a call: a service that ignores the setting would be measured twice.
            if cache == "memory" && !harness.wait(probe::caches(&service.grpc_url())) {
                about.extend(["\nnot measured: ", name, ": it does not serve from memory"]);
                continue;
            }
            targets.push((name, Target::service(&service, database.pid(harness))));
            services.push((service, database));
        }
    }

    let shapes = harness.options.shapes().iter();
    let cases: Vec<Vec<Subject>> = shapes
        .map(|shape| case(harness, *shape, &targets))
        .collect();
    let claims = cases.iter().flat_map(|subjects| claims(subjects));
    vec![Section {
        name: "reads".to_owned(),
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
        (SELECT, BARE, None),
        (POSTGRES, SELECT, Some(SELECT_AIM)),
        (POSTGRES, BARE, None),
        (POSTGRES_CACHED, BARE, None),
        (SQLITE, SELECT, None),
        (SQLITE, BARE, None),
        (SQLITE, PER_CORE, None),
        (SQLITE_UNCACHED, SELECT, None),
        (SQLITE_UNCACHED, BARE, None),
    ];
    wanted.into_iter().filter_map(claim).collect()
}
