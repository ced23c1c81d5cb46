//! `SendMessage` on Postgres, against pgbench with the same statements.

use std::collections::HashMap;
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
    let Statements { run, once } = Statements::of(&written);
    let sends = (sends as f64).max(1.0);
    let script = SCRIPT.lines().filter(|line| !line.starts_with('\\'));
    format!(
        "\nStatements of a send: {:.1} by the service, {} by pgbench; prepared anew for each send: {:.1} (see {}).",
        run as f64 / sends,
        script.count(),
        once as f64 / sends,
        path.display()
    )
}

/// What a log says about the statements that were run.
struct Statements {
    run: usize,
    /// Under a name that never came again: each of them cost one more round trip, and planning.
    once: usize,
}

impl Statements {
    fn of(log: &str) -> Self {
        let mut run = 0;
        let mut names: HashMap<&str, usize> = HashMap::new();
        for line in log.lines() {
            // `2026-11-20 07:16:35.742 UTC [31065] LOG:  execute s22: SELECT`
            if let Some((before, execute)) = line.split_once("LOG:  execute ") {
                let (name, _) = execute.split_once(':').unwrap_or((execute, ""));
                let process = before.rsplit_once('[').map_or(0, |(time, _)| time.len());
                run += 1;
                let end = before.len() + "LOG:  execute ".len() + name.len();
                *names.entry(&line[process..end]).or_default() += 1;
            } else if line.contains("LOG:  statement: ") {
                run += 1;
            }
        }
        let once = names.into_values().filter(|times| *times == 1).count();
        Self { run, once }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_is_prepared_anew_has_a_name_of_its_own() {
        let line = |pid, what| format!("2026-11-20 07:16:35.742 UTC [{pid}] LOG:  {what}\n");
        let log = [
            line(1, "statement: BEGIN"),
            line(1, "execute s1: SELECT 1"),
            line(1, "execute s2: UPDATE"),
            line(1, "execute s1: SELECT 1"),
            line(2, "execute s1: SELECT 1"),
            "2026-11-20 07:16:35.742 UTC [1] DETAIL:  parameters: $1 = '1'\n".to_owned(),
        ];
        let Statements { run, once } = Statements::of(&log.concat());
        assert_eq!((run, once), (5, 2));
    }
}
