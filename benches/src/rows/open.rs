//! 10,000 calls a second, one in a hundred a write, whatever becomes of them: how long a hit takes, and a read in the second in
//! which Redis goes.

use parlance_testkit::Redis;

use crate::child::Server;
use crate::database::{Database, Kind};
use crate::harness::Lab;
use crate::open::{Args, Fate, Seen, Span};
use crate::probe;
use crate::report::{Aim, Claim, Section};

const MESSAGES: u64 = 2_000;
const RATE: u32 = 10_000;
const WRITES: u64 = 100;

const ABOUT: &str = "10,000 calls a second in an open loop over 8 connections: GetMessage of 2,000 messages, and one UpdateMessage\n\
    among a hundred calls. hybrid, on Postgres. Times are from when a call was due. Then Redis is killed (its port refuses), or\n\
    stopped (SIGSTOP: connections stay, nothing answers); no hit can be had then, and every read goes to the database.\n\
    bare tonic is asked for messages alone in the same loop, and answers one of the same size: what the machine does by itself.";

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    let mut section = Section {
        name: "open".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(binary) = &lab.binary else {
        "not measured: it is about the service alone".clone_into(&mut section.about);
        return vec![section];
    };
    let server = Server::start(&["bare", "--runtime", "multi-thread"].map(str::to_owned));
    let mut bare = Vec::new();
    for fate in [Fate::Killed, Fate::Stopped] {
        let mut seen = Vec::new();
        for _ in 0..lab.options.rounds() {
            // Beside each other, since a machine is not the same all the time.
            bare.push(alone(lab, &server).measure());
            let redis = Redis::start();
            let database = Database::filled(lab, Kind::Postgres, MESSAGES);
            let env = [("CACHE_BACKEND", "hybrid"), ("REDIS_URL", redis.url())];
            let service = lab.serve(binary, &database.url(), &env);
            if !lab.wait(probe::answers_from(&service.grpc_url(), "memory")) {
                section.about += "\nnot measured: it does not answer from its cache";
                return vec![section];
            }
            let args = Args {
                url: service.grpc_url(),
                writes: Some(WRITES),
                redis: Some(redis.pid()),
                fate,
                ..alone(lab, &server)
            };
            seen.push(args.measure());
        }
        section.claims.extend(claims(fate, &seen));
        section.about += &told(fate, &seen);
    }
    let waits = |of: fn(&Span) -> Option<f64>| {
        let waits = bare.iter().filter_map(|seen| of(&seen.calm));
        waits.map(|us| us / 1000.0).collect::<Vec<f64>>()
    };
    let waits = [
        ("median", waits(|span| span.read_p50_us)),
        ("p99", waits(|span| span.read_p99_us)),
    ];
    let claims = waits.map(|(which, waits)| {
        Claim::new(
            format!("bare tonic in the same loop, {which}"),
            " ms",
            &waits,
            None,
        )
    });
    section.claims.extend(claims);
    vec![section]
}

/// The loop on a bare server: reads alone, and nothing happens to anybody.
fn alone(lab: &Lab, server: &Server) -> Args {
    Args {
        url: server.url.clone(),
        messages: MESSAGES,
        rate: RATE,
        writes: None,
        warmup: 2,
        calm: if lab.options.quick { 2 } else { 5 },
        redis: None,
        fate: Fate::Killed,
    }
}

fn claims(fate: Fate, seen: &[Seen]) -> Vec<Claim> {
    let claim = |what: String, of: &dyn Fn(&Seen) -> Option<f64>, aim| {
        let values: Vec<f64> = seen.iter().filter_map(of).map(|us| us / 1000.0).collect();
        Claim::new(what, " ms", &values, aim)
    };
    let redis = match fate {
        Fate::Killed => "killed",
        Fate::Stopped => "stopped",
    };
    let fault = |of: fn(&Span) -> Option<f64>| move |seen: &Seen| seen.fault.as_ref().and_then(of);
    vec![
        claim(
            format!("before Redis is {redis}: hit, p99"),
            &|seen| seen.calm.hit_p99_us,
            Some(Aim::AtMost(1.0)),
        ),
        claim(
            format!("before Redis is {redis}: hit, median"),
            &|seen| seen.calm.hit_p50_us,
            None,
        ),
        claim(
            format!("second in which Redis is {redis}: read, p99"),
            &fault(|span| span.read_p99_us),
            Some(Aim::AtMost(20.0)),
        ),
        claim(
            "its second half: read, p99".to_owned(),
            &fault(|span| span.late_read_p99_us),
            None,
        ),
    ]
}

fn told(fate: Fate, seen: &[Seen]) -> String {
    let line = |Seen { calm, fault }: &Seen| {
        let fault = fault.clone().unwrap_or_default();
        let error = fault.first_error.map(|error| format!(": {error}"));
        format!(
            "\n{fate:?}: {} calls, {} % hits, {} failed; in the second after, {} calls, {} hits, {} failed{}",
            calm.calls,
            calm.hits * 100 / calm.calls.max(1),
            calm.errors,
            fault.calls,
            fault.hits,
            fault.errors,
            error.unwrap_or_default(),
        )
    };
    seen.iter().map(line).collect()
}
