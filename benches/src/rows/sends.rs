//! `SendMessage` on Postgres, against pgbench with the same statements.

use std::path::Path;

use crate::database::{Database, Kind};
use crate::harness::{Harness, Target};
use crate::load::{Call, Shape};
use crate::message::{CONVERSATION_EPOCH_MS, PER_CONVERSATION};
use crate::pgbench::{Pgbench, Script, Until};
use crate::report::{Aim, Claim, Section};
use crate::rounds::{Arm, interleaved};
use crate::statements;

const MESSAGES: u64 = 100_000;
/// The statements that the service runs for one `SendMessage`, in order.
const SCRIPT: &str = include_str!("../send.pgbench.sql");
const AIM: Aim = Aim::AtLeast(0.6);
/// Clients, and the connection shape of the load generator for them.
const CLIENTS: [(usize, Shape); 2] = [(1, Shape::new(1, 1)), (32, Shape::new(4, 8))];

const ABOUT: &str = "SendMessage into 1,000 conversations, every commit durable (fsync), to be sent in an hour.\n\
    pgbench runs the statements of a send, prepared, on a connection per client; the service has 16 connections.";

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let mut section = Section {
        name: "sends".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(pgbench) = Pgbench::find() else {
        "not measured: pgbench is not installed (postgresql-contrib)"
            .clone_into(&mut section.about);
        return vec![section];
    };
    // Two equal databases: the service must not have to read pgbench's feed events.
    let baseline = Database::filled(harness, Kind::Postgres, MESSAGES);
    let database = Database::filled(harness, Kind::Postgres, MESSAGES);
    let postgres_pid = harness.postgres().pid();
    let conversations = MESSAGES / PER_CONVERSATION;
    let service = harness.binary.as_deref().map(|binary| {
        section.about += &statements(harness, binary, &database.url());
        harness.serve(binary, &database.url(), &[])
    });
    let target = service
        .as_ref()
        .map(|service| Target::service(service, Some(postgres_pid)));

    for (clients, shape) in CLIENTS {
        let script = Script {
            name: "send",
            text: SCRIPT,
            clients,
            until: Until::Seconds(harness.options.seconds()),
            defines: &[
                ("conversations", conversations),
                ("epoch", CONVERSATION_EPOCH_MS),
            ],
            requests_each: 1,
        };
        let mut arms = vec![Arm::new("pgbench", || {
            pgbench.measure(&baseline.url(), postgres_pid, &script)
        })];
        if let Some(target) = &target {
            let load = harness.load(target, Call::Send, MESSAGES).shaped(shape);
            arms.push(Arm::new("parlance, Postgres", move || load.measure()));
        }
        let case = format!("{clients} at once");
        let subjects = interleaved(&case, harness.options.rounds(), &arms);
        if let [pgbench, service] = subjects.as_slice() {
            section
                .claims
                .push(Claim::ratio(service, pgbench, Some(AIM)));
        }
        section.subjects.extend(subjects);
    }
    vec![section]
}

/// Returns the number of statements of a send, by the service and by the script: the baseline is valid only while they
/// agree.
fn statements(harness: &Harness, binary: &Path, url: &str) -> String {
    let service = harness.serve(binary, url, &[]);
    let load = harness.load(&Target::service(&service, None), Call::Send, MESSAGES);
    let load = crate::load::Args {
        warmup: 0.0,
        seconds: 0.3,
        ..load
    };
    // A first run, which prepares the statements.
    load.measure();
    let (logged, sends) = statements::log(harness, url, "send", || load.measure().requests);
    let script = SCRIPT.lines().filter(|line| !line.starts_with('\\'));
    logged.compare("send", sends, script.count() as f64)
}
