//! A test process that is killed: this test's own program, started a second time for one test.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use parlance_testkit::{Postgres, PostgresConfig, Redis, SqliteFile, eventually, sweep};

use super::{SOON, gone};

/// Where the second process says what it started.
const REPORT: &str = "TESTKIT_ORPHANS_REPORT";

#[test]
#[ignore = "only the test below starts it, in a process that it kills"]
fn second_process() {
    let report = std::env::var(REPORT).expect("the test below sets it");
    // On a thread that ends before the servers may: they belong to the process.
    let started = std::thread::spawn(|| {
        let postgres = Postgres::start(PostgresConfig::default());
        let paused = Postgres::start(PostgresConfig::default());
        paused.pause();
        (postgres, paused, Redis::start(), SqliteFile::new())
    });
    let (postgres, paused, redis, file) = started.join().unwrap();
    let pids = [postgres.pid(), paused.pid(), redis.pid()].map(|pid| pid.to_string());
    let file = file.path().parent().unwrap();
    let dirs = [postgres.dir(), paused.dir(), redis.dir(), file];
    let dirs = dirs.map(|dir| dir.display().to_string());
    let written = [pids.join("\n"), dirs.join("\n")].join("\n");
    let part = format!("{report}.part");
    fs::write(&part, written).unwrap();
    fs::rename(part, report).unwrap();
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn nothing_outlives_a_killed_process_and_its_directories_are_swept() {
    let mine = SqliteFile::new();
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report");
    let mut second = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "orphans::second_process", "--ignored"])
        .env(REPORT, &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let started = eventually(SOON, async || fs::read_to_string(&report).ok()).await;
    let started: Vec<&str> = started.lines().collect();
    let pids: Vec<u32> = started[..3]
        .iter()
        .map(|pid| pid.parse().unwrap())
        .collect();
    let dirs: Vec<&Path> = started[3..].iter().map(Path::new).collect();
    assert!(pids.iter().all(|pid| super::is_alive(*pid)));

    sweep();
    assert!(
        dirs.iter().all(|dir| dir.exists()),
        "what belongs to a living process stays"
    );

    second.kill().unwrap();
    second.wait().unwrap();
    gone(pids[0]).await;
    gone(pids[2]).await;

    // Another process may be sweeping at the same time, so only the result counts.
    sweep();
    gone(pids[1]).await;
    for dir in dirs {
        assert!(!dir.exists(), "{} stayed", dir.display());
    }
    assert!(mine.path().parent().unwrap().exists(), "what is ours stays");
}
