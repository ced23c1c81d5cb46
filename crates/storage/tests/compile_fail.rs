//! Programs that must not compile: the invariants that the types enforce.
//!
//! rustc checks each program against the crates as they were built for this test. A checker that builds its own copies
//! would build the whole dependency tree a second time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in helpers too"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Each program, with its one expected error and the position.
const PROGRAMS: [(&str, &str); 5] = [
    (
        "commit_without_sink",
        "6:16: error[E0061]: this method takes 1 argument but 0 arguments were supplied",
    ),
    (
        "private_connection",
        "6:21: error[E0616]: field `connection` of struct `Tx` is private",
    ),
    (
        "read_without_owner",
        "7:16: error[E0061]: this method takes 2 arguments but 1 argument was supplied",
    ),
    (
        "update_without_event",
        "6:16: error[E0616]: field `changed` of struct ",
    ),
    (
        "write_after_commit",
        "10:13: error[E0382]: borrow of moved value: `tx`",
    ),
];

#[test]
fn programs_that_break_an_invariant_do_not_compile() {
    let crates = Crates::find();
    for (name, error) in PROGRAMS {
        let found = crates.check(name);
        let mut errors = found.lines().filter(|line| line.contains("error["));
        let expected = format!("{}:{error}", file(name).display());
        let first = errors.next().unwrap_or_default();
        assert!(first.starts_with(&expected), "{found}");
        assert_eq!(errors.next(), None, "{found}");
    }
}

#[test]
fn every_program_is_listed() {
    let listed = PROGRAMS.iter().map(|(name, _)| file(name));
    let mut listed: Vec<_> = listed.chain([file(CONTROL)]).collect();
    listed.sort();
    let folder = std::fs::read_dir(file(CONTROL).parent().unwrap()).unwrap();
    let mut found: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert_eq!(found, listed);
}

/// A program that uses the same items and compiles: the other programs fail only because of their own error.
const CONTROL: &str = "control";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/compile_fail/{name}.rs"))
}

/// The compiled crates that the programs use.
struct Crates {
    folder: PathBuf,
    storage: PathBuf,
    domain: PathBuf,
}

impl Crates {
    /// Cargo may have left several builds of a crate, with other features or sources. The newest build of storage has
    /// the current sources; the build of domain is the one that the control program compiles with.
    fn find() -> Self {
        let test = std::env::current_exe().unwrap();
        let folder = test.parent().unwrap().to_owned();
        let storage = builds(&folder, "parlance_storage").remove(0);
        let mut failures = Vec::new();
        for domain in builds(&folder, "parlance_domain") {
            let crates = Self {
                folder: folder.clone(),
                storage: storage.clone(),
                domain,
            };
            let failure = crates.check(CONTROL);
            if failure.is_empty() {
                return crates;
            }
            failures.push(failure);
        }
        panic!("the control program does not compile: {failures:?}");
    }

    /// Returns the messages of rustc about a program; empty if it compiles.
    fn check(&self, name: &str) -> String {
        let out = tempfile::tempdir().unwrap();
        let named = |name: &str, path: &Path| format!("{name}={}", path.display());
        let output = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"))
            .args(["--edition", "2024", "--crate-type", "bin"])
            .args(["--emit", "metadata", "--error-format", "short"])
            .args(["--cap-lints", "allow", "--out-dir"])
            .arg(out.path())
            .args(["-L", &named("dependency", &self.folder)])
            .args(["--extern", &named("parlance_storage", &self.storage)])
            .args(["--extern", &named("parlance_domain", &self.domain)])
            .arg(file(name))
            .output()
            .expect("rustc is next to cargo");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), text.is_empty(), "{text}");
        text
    }
}

/// Returns the builds of a crate, the newest first.
fn builds(folder: &Path, name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let of_crate = entries.filter(|entry| {
        let file = entry.file_name().to_string_lossy().into_owned();
        let is_library = entry.path().extension().is_some_and(|it| it == "rlib");
        file.starts_with(&format!("lib{name}-")) && is_library
    });
    let dated = of_crate.map(|entry| {
        let modified = entry.metadata().and_then(|data| data.modified());
        (modified.unwrap_or(SystemTime::UNIX_EPOCH), entry.path())
    });
    let mut builds: Vec<_> = dated.collect();
    builds.sort_by(|one, other| other.cmp(one));
    assert!(!builds.is_empty(), "{name} is built for this test");
    builds.into_iter().map(|(_, path)| path).collect()
}
