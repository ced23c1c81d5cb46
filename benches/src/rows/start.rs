//! The service alone, on `SQLite`: what it holds when nobody calls, and how long the first answer takes.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parlance_testkit::SqliteFile;
use serde::Deserialize;
use tonic::Code;

use crate::harness::Lab;
use crate::report::{Aim, Claim, Section};
use crate::{probe, proc};

const IDLE: Duration = Duration::from_secs(5);
const MEMORY_AIM: Aim = Aim::AtMost(30.0);
const START_AIM: Aim = Aim::AtMost(200.0);
const STARTS: usize = 7;

const ABOUT: &str = "The service on SQLite, by itself. Resident memory after 5 s without a call; time from the start of the\n\
    process to the first answer of GetMessage, on a new file (with migrations) and on one that is there.";

/// The line that the service prints when it listens.
#[derive(Deserialize)]
struct Ports {
    grpc: String,
}

/// Ends with the measurement, also when that fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    let mut section = Section {
        name: "start".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(binary) = &lab.binary else {
        "not measured: it is about the service alone".clone_into(&mut section.about);
        return vec![section];
    };
    let starts = if lab.options.quick { 3 } else { STARTS };
    let new: Vec<f64> = (0..starts)
        .map(|_| start(lab, binary, &SqliteFile::new()))
        .collect();
    let file = SqliteFile::new();
    start(lab, binary, &file);
    let again: Vec<f64> = (0..starts).map(|_| start(lab, binary, &file)).collect();

    let idle = SqliteFile::new();
    let service = lab.serve(binary, &idle.url(), &[]);
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

/// Milliseconds to the first answer. Not by the test kit, which looks for the port in steps of up to 50 ms.
fn start(lab: &Lab, binary: &Path, file: &SqliteFile) -> f64 {
    let dir = file.path().parent().expect("the file lies in a directory");
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
    let _killed = Killed(child);
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let ports: Option<Ports> = lines
        .into_iter()
        .find_map(|line| serde_json::from_str(&line).ok());
    let Ports { grpc } = ports.expect("the service says where it listens");
    let answer = lab.wait(probe::get(&format!("http://{grpc}"), 0));
    let millis = begin.elapsed().as_secs_f64() * 1000.0;
    // Nothing is there yet: that it says so means that it has looked.
    assert!(
        answer
            .as_ref()
            .is_err_and(|status| status.code() == Code::NotFound),
        "an empty database answered {answer:?}"
    );
    millis
}
