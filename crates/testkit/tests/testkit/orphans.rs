//! Test of a killed test process: `examples/orphans.rs`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use parlance_testkit::{SqliteFile, eventually, sweep};

use super::{SOON, gone};

#[tokio::test]
async fn nothing_outlives_a_killed_process_and_sweep_removes_its_directories() {
    let mine = SqliteFile::new();
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report");
    // Cargo builds examples next to the tests: target/<profile>/examples and target/<profile>/deps.
    let tests = std::env::current_exe().unwrap();
    let example = tests.parent().unwrap().with_file_name("examples/orphans");
    let mut second = Command::new(example)
        .arg(&report)
        .stdout(Stdio::null())
        .spawn()
        .expect(
            "built by a whole `cargo test`, or by `cargo build -p parlance-testkit --examples`",
        );
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
        "directories of a running process stay"
    );

    second.kill().unwrap();
    second.wait().unwrap();
    gone(pids[0]).await;
    gone(pids[2]).await;

    // Another process may be sweeping at the same time, so only the result is checked.
    sweep();
    gone(pids[1]).await;
    for dir in dirs {
        assert!(!dir.exists(), "{} was not removed", dir.display());
    }
    assert!(
        mine.path().parent().unwrap().exists(),
        "our own directory stays"
    );
}
