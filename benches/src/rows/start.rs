//! The service alone on `SQLite`: idle memory, and the time to the first response.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parlance_testkit::SqliteFile;
use serde::Deserialize;
use tonic::Code;

use crate::harness::Harness;
use crate::report::{Aim, Claim, Section};
use crate::{probe, proc};

const IDLE: Duration = Duration::from_secs(5);
const MEMORY_AIM: Aim = Aim::AtMost(30.0);
const START_AIM: Aim = Aim::AtMost(200.0);
const STARTS: usize = 7;

const ABOUT: &str = "The service on SQLite, by itself. Resident memory after 5 s without a call; time from the start of the process to\n\
    the first response of GetMessage, with a new file (including migrations) and with an existing one.";

/// Line that the service prints when it listens.
#[derive(Deserialize)]
struct Ports {
    grpc: String,
}

/// Kills the process on drop, also if the measurement fails.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let mut section = Section {
        name: "start".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(binary) = &harness.binary else {
        "not measured: it concerns the service only".clone_into(&mut section.about);
        return vec![section];
    };
    let starts = if harness.options.quick { 3 } else { STARTS };
    let new: Vec<f64> = (0..starts)
        .map(|_| start(harness, binary, &SqliteFile::new()))
        .collect();
    let file = SqliteFile::new();
    start(harness, binary, &file);
    let again: Vec<f64> = (0..starts).map(|_| start(harness, binary, &file)).collect();

    let idle = SqliteFile::new();
    let service = harness.serve(binary, &idle.url(), &[]);
    std::thread::sleep(IDLE);
    let memory = proc::resident(service.pid) as f64 / 1e6;

    let claim = |what: &str, unit, values: &[f64], aim| {
        Claim::new(what.to_owned(), unit, values, Some(aim))
    };
    section.claims = vec![
        claim("idle memory", " MB", &[memory], MEMORY_AIM),
        claim("first answer, new file", " ms", &new, START_AIM),
        claim("first answer, existing file", " ms", &again, START_AIM),
    ];
    vec![section]
}

/// Returns the milliseconds to the first response. Not with the test kit, which polls for the port in steps of up to 50
/// ms.
fn start(harness: &Harness, binary: &Path, file: &SqliteFile) -> f64 {
    let dir = file.path().parent().expect("the file is in a directory");
    let begin = Instant::now();
    let mut child = Command::new(binary)
        .args(["serve", "--ports-json"])
        .env_clear()
        .env("DATABASE_URL", file.url())
        .env("GRPC_LISTEN", "127.0.0.1:0")
        .env("HTTP_LISTEN", "127.0.0.1:0")
        .env("RUST_LOG", "warn")
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the service starts");
    let stdout = child.stdout.take().expect("its output is piped");
    let _killed = KillOnDrop(child);
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let ports: Option<Ports> = lines
        .into_iter()
        .find_map(|line| serde_json::from_str(&line).ok());
    let Ports { grpc } = ports.expect("the service prints its ports");
    let answer = harness.wait(probe::get(&format!("http://{grpc}"), 0));
    let millis = begin.elapsed().as_secs_f64() * 1000.0;
    // The database is empty: NOT_FOUND shows that the service has queried it.
    assert!(
        answer
            .as_ref()
            .is_err_and(|status| status.code() == Code::NotFound),
        "unexpected response on an empty database: {answer:?}"
    );
    millis
}
