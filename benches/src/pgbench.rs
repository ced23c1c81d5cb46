//! pgbench with the statements of a send, as fast as Postgres itself runs them.

use std::path::PathBuf;
use std::process::Command;

use crate::message::CONVERSATION_EPOCH_MS;
use crate::proc;
use crate::report::{Sample, target};

/// The statements that the service runs for one `SendMessage`, in their order.
pub(crate) const SCRIPT: &str = include_str!("send.pgbench.sql");

pub(crate) struct Pgbench {
    program: PathBuf,
    script: PathBuf,
}

impl Pgbench {
    /// `None` where it is not installed.
    pub(crate) fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let debian = std::path::Path::new("/usr/lib/postgresql").read_dir();
        let debian = debian.into_iter().flatten();
        // Debian keeps versions apart and off the PATH.
        let dirs = debian.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
        let dirs: Vec<PathBuf> = std::env::split_paths(&path).chain(dirs).collect();
        let program = dirs
            .into_iter()
            .map(|dir| dir.join("pgbench"))
            .find(|program| program.is_file())?;
        let dir = target().join("bench");
        let script = dir.join("send.pgbench.sql");
        let written = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&script, SCRIPT));
        written.unwrap_or_else(|e| panic!("cannot write {}: {e}", script.display()));
        Some(Self { program, script })
    }

    pub(crate) fn measure(
        &self,
        url: &str,
        database_pid: u32,
        (clients, seconds): (usize, f64),
        conversations: u64,
    ) -> Sample {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let before = proc::cpu_with_children(database_pid);
        let output = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared"])
            .arg(format!("--file={}", self.script.display()))
            .arg(format!("--client={clients}"))
            .arg(format!("--jobs={}", clients.min(cores)))
            .arg(format!("--time={:.0}", seconds.max(1.0).ceil()))
            .arg(format!("--define=conversations={conversations}"))
            .arg(format!("--define=epoch={CONVERSATION_EPOCH_MS}"))
            .arg(url)
            .output()
            .expect("pgbench starts");
        let used = proc::cpu_with_children(database_pid).saturating_sub(before);
        let text = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            // Most likely the tables have changed and the script has not: no reason to lose the other rows.
            let complaint = complaints.lines().find(|line| line.contains("ERROR"));
            return Sample {
                errors: 1,
                first_error: Some(complaint.unwrap_or(&complaints).to_owned()),
                ..Sample::default()
            };
        }
        let requests: u64 = number(&text, "number of transactions actually processed: ");
        let per_request = used.as_secs_f64() * 1e6 / (requests as f64).max(1.0);
        Sample {
            rate: number(&text, "tps = "),
            mean_us: 1000.0 * number::<f64>(&text, "latency average = "),
            requests,
            database_cpu_us: Some(per_request),
            errors: number(&text, "number of failed transactions: "),
            ..Sample::default()
        }
    }
}

/// The number behind some words of the summary.
fn number<T: std::str::FromStr>(text: &str, words: &str) -> T {
    let after = text.split_once(words).map_or("", |(_, after)| after);
    let end = after.find(|c: char| !c.is_ascii_digit() && c != '.');
    after[..end.unwrap_or(after.len())]
        .parse()
        .unwrap_or_else(|_| panic!("no `{words}` in what pgbench printed:\n{text}"))
}
