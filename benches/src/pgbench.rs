//! pgbench with the statements of a request: the speed of Postgres alone.

use std::path::PathBuf;
use std::process::Command;

use crate::proc;
use crate::report::{Sample, target};

pub(crate) struct Pgbench {
    program: PathBuf,
}

/// Script for pgbench.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script<'a> {
    /// Name of its file.
    pub(crate) name: &'a str,
    /// The statements that the service runs for one request, in order.
    pub(crate) text: &'a str,
    pub(crate) clients: usize,
    pub(crate) until: Until,
    pub(crate) defines: &'a [(&'a str, u64)],
    /// Requests per run of the script.
    pub(crate) requests_each: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    Seconds(f64),
    /// Per client.
    Transactions(u64),
}

impl Pgbench {
    /// Finds pgbench; `None` if it is not installed.
    pub(crate) fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let debian = std::path::Path::new("/usr/lib/postgresql").read_dir();
        let debian = debian.into_iter().flatten();
        // Debian installs each version in its own directory, which is not on the PATH.
        let dirs = debian.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
        let dirs: Vec<PathBuf> = std::env::split_paths(&path).chain(dirs).collect();
        let program = dirs
            .into_iter()
            .map(|dir| dir.join("pgbench"))
            .find(|program| program.is_file())?;
        Some(Self { program })
    }

    pub(crate) fn measure(&self, url: &str, database_pid: u32, script: &Script<'_>) -> Sample {
        let dir = target().join("bench");
        let file = dir.join(format!("{}.pgbench.sql", script.name));
        let written =
            std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&file, script.text));
        written.unwrap_or_else(|e| panic!("cannot write {}: {e}", file.display()));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let defines = script.defines.iter();
        let before = proc::cpu_with_children(database_pid);
        let output = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared"])
            .arg(format!("--file={}", file.display()))
            .arg(format!("--client={}", script.clients))
            .arg(format!("--jobs={}", script.clients.min(cores)))
            .arg(match script.until {
                Until::Seconds(seconds) => format!("--time={:.0}", seconds.max(1.0).ceil()),
                Until::Transactions(each) => format!("--transactions={each}"),
            })
            .args(defines.map(|(name, value)| format!("--define={name}={value}")))
            .arg(url)
            .output()
            .expect("pgbench starts");
        let used = proc::cpu_with_children(database_pid).saturating_sub(before);
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            // Most likely the tables have changed and the script has not; the other rows are still measured.
            let error = errors.lines().find(|line| line.contains("ERROR"));
            return Sample {
                errors: 1,
                first_error: Some(error.unwrap_or(&errors).to_owned()),
                ..Sample::default()
            };
        }
        let transactions: u64 = number(&text, "number of transactions actually processed: ");
        let requests = transactions * script.requests_each;
        let per_request = used.as_secs_f64() * 1e6 / (requests as f64).max(1.0);
        Sample {
            rate: number::<f64>(&text, "tps = ") * script.requests_each as f64,
            mean_us: 1000.0 * number::<f64>(&text, "latency average = "),
            requests,
            database_cpu_us: Some(per_request),
            errors: number(&text, "number of failed transactions: "),
            ..Sample::default()
        }
    }
}

/// Returns the number after a label in the summary.
fn number<T: std::str::FromStr>(text: &str, label: &str) -> T {
    let after = text.split_once(label).map_or("", |(_, after)| after);
    let end = after.find(|c: char| !c.is_ascii_digit() && c != '.');
    after[..end.unwrap_or(after.len())]
        .parse()
        .unwrap_or_else(|_| panic!("no `{label}` in the output of pgbench:\n{text}"))
}
