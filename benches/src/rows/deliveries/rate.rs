//! The dispatcher with a provider that accepts everything at once, against pgbench with its statements.

use super::section;
use crate::database::{Database, Kind};
use crate::deliver::throughput;
use crate::fill::jobs;
use crate::harness::Harness;
use crate::pgbench::{Pgbench, Script, Until};
use crate::report::{Aim, Claim, Section};
use crate::rounds::{Arm, interleaved};
use crate::statements;

const AIM: Aim = Aim::AtLeast(0.5);
/// Workers, and the number of deliveries for them.
const WORKERS: [(u64, u64); 3] = [(1, 10_000), (8, 32_000), (32, 64_000)];
/// More than any subject takes, so that no batch of pgbench is incomplete.
const SPARE: u64 = 2_000;
/// The service's claimer and outcome writer work concurrently, each on its own connection.
const CONNECTIONS: u64 = 2;
const TEMPLATE: &str = include_str!("../../deliver.pgbench.sql");

const ABOUT: &str = "Deliveries in as many conversations, created beforehand; a provider that accepts everything at once; durable commits.\n\
    pgbench runs the same statements, prepared: one transaction claims a batch (one SELECT FOR UPDATE SKIP LOCKED, one\n\
    UPDATE), one SELECT reads its messages, and a second transaction writes its outcomes: each of its statements covers the\n\
    whole batch, except for one UPDATE per message. `2 x W`: two connections, like the service's claimer and outcome\n\
    writer, in batches as large as the number of workers. `W x 1`: a connection per worker, one message at a time;\n\
    more parallel than the service, with more commits.";

pub(crate) fn measure(harness: &Harness) -> Section {
    let mut section = section("rate", ABOUT);
    let Some(pgbench) = Pgbench::find() else {
        "not measured: pgbench is not installed (postgresql-contrib)"
            .clone_into(&mut section.about);
        return section;
    };
    let database = Database::filled(harness, Kind::Postgres, 0);
    let url = database.url();
    let postgres = harness.postgres().pid();
    if harness.binary.is_some() {
        section.about += &statements(harness, &url);
    }
    for (workers, jobs) in WORKERS {
        let jobs = harness.options.jobs(jobs);
        let prepare = || harness.wait(jobs::fill(&url, jobs + SPARE, jobs + SPARE));
        let baseline = |connections: u64, batch: u64| {
            let (url, pgbench) = (&url, &pgbench);
            Arm::new(format!("pgbench, {connections} x {batch}"), move || {
                prepare();
                let script = Script {
                    name: "deliver",
                    text: &script(batch),
                    clients: usize::try_from(connections).unwrap_or(1),
                    until: Until::Transactions(jobs / connections / batch),
                    defines: &[],
                    requests_each: batch,
                };
                pgbench.measure(url, postgres, &script)
            })
        };
        let mut arms = vec![baseline(CONNECTIONS, workers)];
        if workers > 1 {
            arms.push(baseline(workers, 1));
        }
        if harness.binary.is_some() {
            let args = throughput_args(&url, postgres, workers, jobs);
            arms.push(Arm::new("parlance", move || {
                prepare();
                args.measure().sample
            }));
        }
        let case = format!("{workers} at once");
        let subjects = interleaved(&case, harness.options.rounds(), &arms);
        if let [batched, others @ .., service] = subjects.as_slice()
            && harness.binary.is_some()
        {
            section
                .claims
                .push(Claim::ratio(service, batched, Some(AIM)));
            for other in others {
                section.claims.push(Claim::ratio(service, other, None));
            }
        }
        section.subjects.extend(subjects);
    }
    section
}

fn throughput_args(url: &str, database_pid: u32, workers: u64, jobs: u64) -> throughput::Args {
    throughput::Args {
        url: url.to_owned(),
        database_pid,
        workers: usize::try_from(workers).unwrap_or(1),
        jobs,
    }
}

fn statements(harness: &Harness, url: &str) -> String {
    const JOBS: u64 = 320;
    const BATCH: u64 = 32;
    harness.wait(jobs::fill(url, JOBS, JOBS));
    let args = throughput_args(url, harness.postgres().pid(), BATCH, JOBS);
    let (logged, jobs) =
        statements::log(harness, url, "delivery", || args.measure().sample.requests);
    let script = script(BATCH);
    let script = script.lines().filter(|line| !line.is_empty()).count();
    logged.compare(
        &format!("delivery in batches of {BATCH}"),
        jobs,
        script as f64 / BATCH as f64,
    )
}

/// Returns the script for a batch.
fn script(batch: u64) -> String {
    let each = |text: &str, between: &str| {
        let one = |n| {
            let (id, conversation) = (format!("m_{n}"), format!("c_{n}"));
            text.replace("{id}", &id)
                .replace("{conversation}", &conversation)
        };
        (1..=batch).map(one).collect::<Vec<_>>().join(between)
    };
    let column = |n| {
        format!("(array_agg(message_id))[{n}] AS m_{n}, (array_agg(conversation_id))[{n}] AS c_{n}")
    };
    let columns: Vec<String> = (1..=batch).map(column).collect();
    let filled = TEMPLATE
        .replace("{batch}", &batch.to_string())
        .replace("{ids}", &each(":{id}", ", "))
        .replace("{conversations}", &each(":{conversation}", ", "))
        .replace("{columns}", &columns.join(", "));
    let rows = within(&filled, "[[", "]]", |row| each(row, ", "));
    within(&rows, "-- each\n", "-- last\n", |lines| each(lines, ""))
}

/// Replaces the text between two marks, and removes the marks.
fn within(text: &str, begin: &str, end: &str, replace: impl Fn(&str) -> String) -> String {
    let mut parts = text.split(begin);
    let before = parts.next().unwrap_or_default().to_owned();
    parts.fold(before, |done, part| {
        let (inner, after) = part.split_once(end).expect("the template has its marks");
        done + &replace(inner) + after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_message_updates_are_per_message() {
        let script = script(3);
        assert_eq!(script.matches("BEGIN;").count(), 2);
        assert_eq!(script.matches("FOR UPDATE SKIP LOCKED").count(), 2);
        assert_eq!(script.matches("DELETE FROM deliveries").count(), 1);
        assert_eq!(script.matches("UPDATE messages").count(), 3);
        assert_eq!(script.matches("'simulator', NULL, 'sent'").count(), 3);
        assert!(script.contains("ARRAY[:m_1, :m_2, :m_3]") && script.contains("id = :m_2 AND"));
        assert!(!script.contains("{i") && !script.contains("[[") && !script.contains("--"));
    }
}
