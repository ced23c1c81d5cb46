//! `SendMessage` on Postgres, against pgbench with the same statements.

use std::path::Path;

use crate::database::{Database, Kind};
use crate::harness::{Lab, Target};
use crate::load::{Call, Shape};
use crate::message::{CONVERSATION_EPOCH_MS, PER_CONVERSATION};
use crate::pgbench::{Pgbench, Script, Until};
use crate::report::{Aim, Claim, Section};
use crate::rounds::{Arm, in_turn};
use crate::statements;

const MESSAGES: u64 = 100_000;
/// The statements that the service runs for one `SendMessage`, in their order.
const SCRIPT: &str = include_str!("../send.pgbench.sql");
const AIM: Aim = Aim::AtLeast(0.6);
/// Clients, and how the load generator connects as many.
const CLIENTS: [(usize, Shape); 2] = [(1, Shape::new(1, 1)), (32, Shape::new(4, 8))];

const ABOUT: &str = "SendMessage into 1,000 conversations, every commit durable (fsync), to be sent in an hour.\n\
    pgbench runs the statements of a send, prepared, on a connection per client; the service has 16 connections.";

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    let mut section = Section {
        name: "sends".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(pgbench) = Pgbench::find() else {
        "not measured: there is no pgbench (postgresql-contrib)".clone_into(&mut section.about);
        return vec![section];
    };
    // Two alike: the service must not have to read pgbench's events.
    let baseline = Database::filled(lab, Kind::Postgres, MESSAGES);
    let database = Database::filled(lab, Kind::Postgres, MESSAGES);
    let postgres_pid = lab.postgres().pid();
    let conversations = MESSAGES / PER_CONVERSATION;
    let service = lab.binary.as_deref().map(|binary| {
        section.about += &statements(lab, binary, &database.url());
        lab.serve(binary, &database.url(), &[])
    });
    let target = service
        .as_ref()
        .map(|service| Target::service(service, Some(postgres_pid)));

    for (clients, shape) in CLIENTS {
        let script = Script {
            name: "send",
            text: SCRIPT,
            clients,
            until: Until::Seconds(lab.options.seconds()),
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
            let load = lab.load(target, Call::Send, MESSAGES).shaped(shape);
            arms.push(Arm::new("parlance, Postgres", move || load.measure()));
        }
        let case = format!("{clients} at once");
        let subjects = in_turn(&case, lab.options.rounds(), &arms);
        if let [pgbench, service] = subjects.as_slice() {
            section
                .claims
                .push(Claim::ratio(service, pgbench, Some(AIM)));
        }
        section.subjects.extend(subjects);
    }
    vec![section]
}

/// How many statements a send is, of the service and of the script: the baseline is one only while it does the same.
fn statements(lab: &Lab, binary: &Path, url: &str) -> String {
    let service = lab.serve(binary, url, &[]);
    let load = lab.load(&Target::service(&service, None), Call::Send, MESSAGES);
    let load = crate::load::Args {
        warmup: 0.0,
        seconds: 0.3,
        ..load
    };
    // Statements are prepared by now.
    load.measure();
    let (found, sends) = statements::log(lab, url, "send", || load.measure().requests);
    let script = SCRIPT.lines().filter(|line| !line.starts_with('\\'));
    found.compare("send", sends, script.count() as f64)
}
