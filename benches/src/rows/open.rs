//! 10,000 calls per second in an open loop, one in a hundred a write: latency of hits, and of reads in the second after
//! a Redis fault.

use parlance_testkit::Redis;

use crate::child::Server;
use crate::database::{Database, Kind};
use crate::harness::Harness;
use crate::open::{Args, Measured, RedisFault, Span};
use crate::probe;
use crate::report::{Aim, Claim, Section};

const MESSAGES: u64 = 2_000;
const RATE: u32 = 10_000;
const WRITES: u64 = 100;

const ABOUT: &str = "10,000 calls per second in an open loop over 8 connections: GetMessage of 2,000 messages, and one UpdateMessage per\n\
    hundred calls. hybrid, on Postgres. Latency counts from the due time of a call. Then Redis is killed (its port refuses)\n\
    or stopped (SIGSTOP: connections stay open without a response); no hit is possible then, and every read uses the database.\n\
    bare tonic receives reads only, in the same loop, and returns a message of the same size: the latency of the machine itself.";

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let mut section = Section {
        name: "open".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(binary) = &harness.binary else {
        "not measured: it concerns the service only".clone_into(&mut section.about);
        return vec![section];
    };
    let server = Server::start(&["bare", "--runtime", "multi-thread"].map(str::to_owned));
    let mut bare = Vec::new();
    for redis_fault in [RedisFault::Killed, RedisFault::Stopped] {
        let mut measured = Vec::new();
        for _ in 0..harness.options.rounds() {
            // Alternating with the service, because the machine's other load changes over time.
            bare.push(bare_args(harness, &server).measure());
            let redis = Redis::start();
            let database = Database::filled(harness, Kind::Postgres, MESSAGES);
            let env = [("CACHE_BACKEND", "hybrid"), ("REDIS_URL", redis.url())];
            let service = harness.serve(binary, &database.url(), &env);
            if !harness.wait(probe::serves_from(&service.grpc_url(), "memory")) {
                section.about += "\nnot measured: it does not serve from its cache";
                return vec![section];
            }
            let args = Args {
                url: service.grpc_url(),
                writes: Some(WRITES),
                redis: Some(redis.pid()),
                redis_fault,
                ..bare_args(harness, &server)
            };
            measured.push(args.measure());
        }
        section.claims.extend(claims(redis_fault, &measured));
        section.about += &summary(redis_fault, &measured);
    }
    let waits = |of: fn(&Span) -> Option<f64>| {
        let waits = bare.iter().filter_map(|measured| of(&measured.calm));
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

/// Arguments of the loop on a bare server: reads only, no fault.
fn bare_args(harness: &Harness, server: &Server) -> Args {
    Args {
        url: server.url.clone(),
        messages: MESSAGES,
        rate: RATE,
        writes: None,
        warmup: 2,
        calm: if harness.options.quick { 2 } else { 5 },
        redis: None,
        redis_fault: RedisFault::Killed,
    }
}

fn claims(redis_fault: RedisFault, measured: &[Measured]) -> Vec<Claim> {
    let claim = |what: String, of: &dyn Fn(&Measured) -> Option<f64>, aim| {
        let values: Vec<f64> = measured
            .iter()
            .filter_map(of)
            .map(|us| us / 1000.0)
            .collect();
        Claim::new(what, " ms", &values, aim)
    };
    let redis = match redis_fault {
        RedisFault::Killed => "killed",
        RedisFault::Stopped => "stopped",
    };
    let fault = |of: fn(&Span) -> Option<f64>| {
        move |measured: &Measured| measured.fault.as_ref().and_then(of)
    };
    vec![
        claim(
            format!("before Redis is {redis}: hit, p99"),
            &|measured| measured.calm.hit_p99_us,
            Some(Aim::AtMost(1.0)),
        ),
        claim(
            format!("before Redis is {redis}: hit, median"),
            &|measured| measured.calm.hit_p50_us,
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

fn summary(redis_fault: RedisFault, measured: &[Measured]) -> String {
    let line = |Measured { calm, fault }: &Measured| {
        let fault = fault.clone().unwrap_or_default();
        let error = fault.first_error.map(|error| format!(": {error}"));
        format!(
            "\n{redis_fault:?}: {} calls, {} % hits, {} failed; in the second after, {} calls, {} hits, {} failed{}",
            calm.calls,
            calm.hits * 100 / calm.calls.max(1),
            calm.errors,
            fault.calls,
            fault.hits,
            fault.errors,
            error.unwrap_or_default(),
        )
    };
    measured.iter().map(line).collect()
}
