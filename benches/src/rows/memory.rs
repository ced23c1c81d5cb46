//! What a message in this process's cache takes, beside what it takes as it is sent.

use std::path::Path;

use crate::database::{Database, Kind};
use crate::harness::{Lab, Target};
use crate::load::{Call, Shape};
use crate::message;
use crate::report::{Aim, Claim, Section};
use crate::{probe, proc};

/// So many that what else grows meanwhile is little beside them.
const MESSAGES: u64 = 200_000;
/// The most that one may take of memory, in bytes, beside half as much again as it is sent in.
const HEAD: f64 = 200.0;
const FACTOR: f64 = 1.5;

const ABOUT: &str = "Resident memory on SQLite after GetMessage of each of the messages, with the memory cache and without it; the\n\
    difference, by the number of messages.";

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    let mut section = Section {
        name: "memory".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(binary) = &lab.binary else {
        "not measured: it is about the service alone".clone_into(&mut section.about);
        return vec![section];
    };
    let messages = lab.options.jobs(MESSAGES);
    let database = Database::filled(lab, Kind::Sqlite, messages);
    let mut each = Vec::new();
    for _ in 0..lab.options.rounds() {
        let with = grown(lab, binary, &database, messages, "memory");
        let without = grown(lab, binary, &database, messages, "off");
        each.push((with - without) / messages as f64);
    }
    let sent = prost::Message::encoded_len(&message::message(messages / 2)) as f64;
    section.claims = vec![Claim::new(
        format!("a message of {sent} bytes"),
        " bytes",
        &each,
        Some(Aim::AtMost(FACTOR * sent + HEAD)),
    )];
    vec![section]
}

/// Bytes that the service holds more when all messages were read.
fn grown(lab: &Lab, binary: &Path, database: &Database, messages: u64, cache: &str) -> f64 {
    let most = (messages * 2).to_string();
    let env = [
        ("CACHE_BACKEND", cache),
        ("CACHE_MAX_MEMORY_SIZE", &most),
        ("CACHE_MAX_MEMORY_BYTES", "1073741824"),
    ];
    let service = lab.serve(binary, &database.url(), &env);
    let load = lab.load(&Target::service(&service, None), Call::Get, 1);
    // Connections and buffers, before anything is cached.
    load.shaped(Shape::new(1, 1)).measure();
    let before = proc::resident(service.pid);
    lab.wait(probe::get_all(&service.grpc_url(), messages));
    let after = proc::resident(service.pid);
    after as f64 - before as f64
}
