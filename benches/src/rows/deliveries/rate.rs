//! The dispatcher over a provider that takes everything at once, against pgbench with its statements.

use super::section;
use crate::database::{Database, Kind};
use crate::deliver::throughput;
use crate::fill::jobs;
use crate::harness::Lab;
use crate::pgbench::{Pgbench, Script, Until};
use crate::report::{Aim, Claim, Section};
use crate::rounds::{Arm, in_turn};
use crate::statements;

const AIM: Aim = Aim::AtLeast(0.5);
/// Workers, and how many jobs they have.
const WORKERS: [(u64, u64); 3] = [(1, 10_000), (8, 32_000), (32, 64_000)];
/// More than anybody takes, so that no batch of pgbench is short.
const SPARE: u64 = 2_000;
/// The service's claimer and its scribe work at the same time, each on a connection.
const CONNECTIONS: u64 = 2;
const TEMPLATE: &str = include_str!("../../deliver.pgbench.sql");

const ABOUT: &str = "Jobs in as many conversations, made beforehand, over a provider that takes everything at once; durable commits.\n\
    pgbench runs the same statements, prepared: a batch is claimed in one transaction (one SELECT FOR UPDATE SKIP LOCKED,\n\
    one UPDATE), its messages are read by one SELECT, and a second transaction writes its outcomes: each statement of it is\n\
    one for all of the batch, but for the UPDATE of each message. `2 x W`: on two connections, as the service's claimer and scribe have, in batches as large as there are\n\
    workers. `W x 1`: on a connection per worker, one message at a time; more parallel than the service, with more commits.";

pub(crate) fn measure(lab: &Lab) -> Section {
    let mut section = section("rate", ABOUT);
    let Some(pgbench) = Pgbench::find() else {
        "not measured: there is no pgbench (postgresql-contrib)".clone_into(&mut section.about);
        return section;
    };
    let database = Database::filled(lab, Kind::Postgres, 0);
    let url = database.url();
    let postgres = lab.postgres().pid();
    if lab.binary.is_some() {
        section.about += &statements(lab, &url);
    }
    for (workers, jobs) in WORKERS {
        let jobs = lab.options.jobs(jobs);
        let prepare = || lab.wait(jobs::fill(&url, jobs + SPARE, jobs + SPARE));
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
        if lab.binary.is_some() {
            let args = drain(&url, postgres, workers, jobs);
            arms.push(Arm::new("parlance", move || {
                prepare();
                args.measure().sample
            }));
        }
        let case = format!("{workers} at once");
        let subjects = in_turn(&case, lab.options.rounds(), &arms);
        if let [batched, others @ .., service] = subjects.as_slice()
            && lab.binary.is_some()
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

fn drain(url: &str, database_pid: u32, workers: u64, jobs: u64) -> throughput::Args {
    throughput::Args {
        url: url.to_owned(),
        database_pid,
        workers: usize::try_from(workers).unwrap_or(1),
        jobs,
    }
}

fn statements(lab: &Lab, url: &str) -> String {
    const JOBS: u64 = 320;
    const BATCH: u64 = 32;
    lab.wait(jobs::fill(url, JOBS, JOBS));
    let args = drain(url, lab.postgres().pid(), BATCH, JOBS);
    let (found, jobs) = statements::log(lab, url, "delivery", || args.measure().sample.requests);
    let script = script(BATCH);
    let script = script.lines().filter(|line| !line.is_empty()).count();
    found.compare(
        &format!("delivery in batches of {BATCH}"),
        jobs,
        script as f64 / BATCH as f64,
    )
}

/// What is run for a batch of so many.
fn script(batch: u64) -> String {
    let each = |text: &str, between: &str| {
        let one = |n| {
            let (id, line) = (format!("m_{n}"), format!("c_{n}"));
            text.replace("{id}", &id).replace("{line}", &line)
        };
        (1..=batch).map(one).collect::<Vec<_>>().join(between)
    };
    let first = |n| {
        format!("(array_agg(message_id))[{n}] AS m_{n}, (array_agg(conversation_id))[{n}] AS c_{n}")
    };
    let firsts: Vec<String> = (1..=batch).map(first).collect();
    let filled = TEMPLATE
        .replace("{batch}", &batch.to_string())
        .replace("{ids}", &each(":{id}", ", "))
        .replace("{lines}", &each(":{line}", ", "))
        .replace("{firsts}", &firsts.join(", "));
    let rows = within(&filled, "[[", "]]", |row| each(row, ", "));
    within(&rows, "-- each\n", "-- last\n", |lines| each(lines, ""))
}

/// What stands between these marks is replaced, and the marks go.
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
    fn a_batch_is_written_together_but_for_its_messages() {
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
