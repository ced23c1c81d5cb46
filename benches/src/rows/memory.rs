//! Memory per message in the in-process cache, compared to its encoded size.

use std::path::Path;

use crate::database::{Database, Kind};
use crate::harness::{Harness, Target};
use crate::load::{Call, Shape};
use crate::message;
use crate::report::{Aim, Claim, Section};
use crate::{probe, proc};

/// So many that other growth of memory is small in comparison.
const MESSAGES: u64 = 200_000;
/// Maximum memory per message: `FACTOR` times the encoded size plus `OVERHEAD` bytes.
const OVERHEAD: f64 = 200.0;
const FACTOR: f64 = 1.5;

const ABOUT: &str = "Resident memory on SQLite after GetMessage of every message, with and without the memory cache; the difference,\n\
    divided by the number of messages.";

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let mut section = Section {
        name: "memory".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(binary) = &harness.binary else {
        "not measured: it concerns the service only".clone_into(&mut section.about);
        return vec![section];
    };
    let messages = harness.options.jobs(MESSAGES);
    let database = Database::filled(harness, Kind::Sqlite, messages);
    let mut each = Vec::new();
    for _ in 0..harness.options.rounds() {
        let with = memory_growth(harness, binary, &database, messages, "memory");
        let without = memory_growth(harness, binary, &database, messages, "off");
        each.push((with - without) / messages as f64);
    }
    let sent = prost::Message::encoded_len(&message::message(messages / 2)) as f64;
    section.claims = vec![Claim::new(
        format!("a message of {sent} bytes"),
        " bytes",
        &each,
        Some(Aim::AtMost(FACTOR * sent + OVERHEAD)),
    )];
    vec![section]
}

/// Returns the growth of the service's memory in bytes when all messages are read.
fn memory_growth(
    harness: &Harness,
    binary: &Path,
    database: &Database,
    messages: u64,
    cache: &str,
) -> f64 {
    let most = (messages * 2).to_string();
    let env = [
        ("CACHE_BACKEND", cache),
        ("CACHE_MAX_MEMORY_SIZE", &most),
        ("CACHE_MAX_MEMORY_BYTES", "1073741824"),
    ];
    let service = harness.serve(binary, &database.url(), &env);
    let load = harness.load(&Target::service(&service, None), Call::Get, 1);
    // Allocates connections and buffers before anything is cached.
    load.shaped(Shape::new(1, 1)).measure();
    let before = proc::resident(service.pid);
    harness.wait(probe::get_all(&service.grpc_url(), messages));
    let after = proc::resident(service.pid);
    after as f64 - before as f64
}
