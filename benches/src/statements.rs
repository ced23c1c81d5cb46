//! Statements that Postgres logs for a subject, to verify that a baseline of statements is still valid.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::fill::postgres::run;
use crate::harness::Harness;
use crate::report::target;

/// Statements found in a log.
pub(crate) struct Statements {
    run: usize,
    /// Prepared under a name that was used once: each of them cost another round trip, and planning.
    once: usize,
    log: PathBuf,
}

impl Statements {
    /// Returns one line that compares a request of the service with the script of the baseline.
    pub(crate) fn compare(&self, what: &str, requests: u64, of_script: f64) -> String {
        let requests = (requests as f64).max(1.0);
        format!(
            "\nStatements of a {what}: {:.1} by the service, {of_script:.1} by pgbench; prepared again for each {what}: {:.1} (see {}).",
            self.run as f64 / requests,
            self.once as f64 / requests,
            self.log.display()
        )
    }

    /// Returns the number of statements per request.
    pub(crate) fn per(&self, requests: u64) -> f64 {
        self.run as f64 / requests.max(1) as f64
    }

    fn of(log: &str, path: PathBuf) -> Self {
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
        Self {
            run,
            once,
            log: path,
        }
    }
}

/// Makes Postgres log the statements of some requests; `requests` makes them and returns their number.
pub(crate) fn log(
    harness: &Harness,
    url: &str,
    name: &str,
    requests: impl FnOnce() -> u64,
) -> (Statements, u64) {
    let log = harness.postgres().dir().join("stderr");
    let set = |value: &str| {
        let system = format!("ALTER SYSTEM SET log_statement = '{value}'");
        harness.wait(run(url, &system));
        harness.wait(run(url, "SELECT pg_reload_conf()"));
        // The backends apply the setting when they next wait for a statement.
        std::thread::sleep(Duration::from_millis(300));
    };
    set("all");
    let before = std::fs::read(&log).unwrap_or_default().len();
    let requests = requests();
    set("none");
    let written = std::fs::read(&log).unwrap_or_default();
    let written = String::from_utf8_lossy(written.get(before..).unwrap_or_default()).into_owned();
    let dir = target().join("bench");
    let path = dir.join(format!("{name}.statements.log"));
    let saved = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, &written));
    saved.unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
    (Statements::of(&written, path), requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_prepared_anew_has_its_own_name() {
        let line = |pid, what| format!("2026-11-20 07:16:35.742 UTC [{pid}] LOG:  {what}\n");
        let log = [
            line(1, "statement: BEGIN"),
            line(1, "execute s1: SELECT 1"),
            line(1, "execute s2: UPDATE"),
            line(1, "execute s1: SELECT 1"),
            line(2, "execute s1: SELECT 1"),
            "2026-11-20 07:16:35.742 UTC [1] DETAIL:  parameters: $1 = '1'\n".to_owned(),
        ];
        let Statements { run, once, .. } = Statements::of(&log.concat(), PathBuf::new());
        assert_eq!((run, once), (5, 2));
    }
}
