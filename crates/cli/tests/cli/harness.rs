//! Test harness: a service for each test, and commands that call it.

use std::time::Duration;

use parlance_testkit::{Builder, Finished, Parlance};
use serde_json::Value;

pub(crate) const OURS: &str = "+15550001111";
pub(crate) const THEIRS: &str = "+15552223333";
/// Time-out for a debug build on a busy machine.
pub(crate) const LONG: Duration = Duration::from_mins(2);

/// The program that was built for this test.
pub(crate) fn program() -> Builder {
    Parlance::builder().binary(env!("CARGO_BIN_EXE_parlance"))
}

pub(crate) async fn ephemeral() -> Parlance {
    program().arg("--ephemeral").start().await
}

/// Runs a command with this server address.
pub(crate) async fn run_at(server: &str, words: &[&str]) -> Finished {
    let program = program().env("PARLANCE_SERVER", server);
    program.run(words, LONG).await
}

/// Runs a command that must succeed, and returns its output.
pub(crate) async fn run(service: &Parlance, words: &[&str]) -> String {
    let finished = run_at(&service.grpc_url(), words).await;
    assert!(finished.status.success(), "{words:?}: {finished:?}");
    finished.stdout
}

/// Runs a command that must succeed, with `--json`, and returns the printed objects.
pub(crate) async fn objects(service: &Parlance, words: &[&str]) -> Vec<Value> {
    let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
    let printed = run(service, &words).await;
    let lines = printed.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect()
}

/// Runs a command that must print one JSON object, and returns it.
pub(crate) async fn object(service: &Parlance, words: &[&str]) -> Value {
    let [object] = &objects(service, words).await[..] else {
        panic!("{words:?} prints one object")
    };
    object.clone()
}

/// Sends a message from [`OURS`] to [`THEIRS`].
pub(crate) async fn send(service: &Parlance, text: &str) -> Value {
    object(service, &["send", "--from", OURS, "--to", THEIRS, text]).await
}

pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    let text = object[field].as_str();
    text.unwrap_or_else(|| panic!("{field} of {object}"))
}
