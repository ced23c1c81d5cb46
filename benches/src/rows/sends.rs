//! `SendMessage` on Postgres, against pgbench with the same statements.

use std::path::Path;
use std::time::Duration;

use crate::database::{Database, Kind};
use crate::fill::postgres::run;
use crate::lab::{Lab, Target};
use crate::load::{Call, Shape};
use crate::message::PER_CONVERSATION;
use crate::pgbench::{Pgbench, SCRIPT};
use crate::report::{Aim, Claim, Section, target};
use crate::turns::{Arm, in_turn};

const MESSAGES: u64 = 100_000;
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
        let load = (clients, lab.options.seconds());
        let mut arms = vec![Arm::new("pgbench", || {
            pgbench.measure(&baseline.url(), postgres_pid, load, conversations)
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

/// Has Postgres log the statements of some sends, and compares their number with that of the script: the baseline is one
/// only while it does the same.
fn statements(lab: &Lab, binary: &Path, url: &str) -> String {
    let log = lab.postgres().dir().join("stderr");
    let service = lab.serve(binary, url, &[]);
    let load = lab.load(&Target::service(&service, None), Call::Send, MESSAGES);
    let load = crate::load::Args {
        warmup: 0.0,
        seconds: 0.3,
        ..load
    };
    // Statements are prepared by now.
    load.measure();
    let set = |value: &str| {
        let system = format!("ALTER SYSTEM SET log_statement = '{value}'");
        lab.wait(run(url, &system));
        lab.wait(run(url, "SELECT pg_reload_conf()"));
        // The backends hear of it when they next wait for a statement.
        std::thread::sleep(Duration::from_millis(300));
    };
    set("all");
    let before = std::fs::read(&log).unwrap_or_default().len();
    let sends = load.measure().requests;
    set("none");
    let written = std::fs::read(&log).unwrap_or_default();
    let written = String::from_utf8_lossy(written.get(before..).unwrap_or_default()).into_owned();
    let path = target().join("bench/send.statements.log");
    let saved = std::fs::write(&path, &written);
    saved.unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
    let lines = written.lines().filter(|line| line.contains("LOG:  "));
    let count = |words: &[&str]| {
        lines
            .clone()
            .filter(|line| words.iter().any(|w| line.contains(w)))
            .count()
    };
    let service_count =
        count(&["LOG:  execute", "LOG:  statement"]) as f64 / (sends as f64).max(1.0);
    let script_count = SCRIPT
        .lines()
        .filter(|line| !line.starts_with('\\'))
        .count();
    format!(
        "\nStatements of a send: {service_count:.1} by the service, {script_count} by pgbench (see {}).",
        path.display()
    )
}
