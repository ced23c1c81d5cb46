//! A service of the test's own, and commands that ask it.

use std::time::Duration;

use parlance_testkit::{Builder, Finished, Parlance};
use serde_json::Value;

pub(crate) const OURS: &str = "+15550001111";
pub(crate) const THEIRS: &str = "+15552223333";
/// A debug build on a busy machine.
pub(crate) const LONG: Duration = Duration::from_mins(2);

/// The program that was just built, wherever the test runs.
pub(crate) fn program() -> Builder {
    Parlance::builder().binary(env!("CARGO_BIN_EXE_parlance"))
}

pub(crate) async fn ephemeral() -> Parlance {
    program().arg("--ephemeral").start().await
}

/// A command against this address, with an environment of its own.
pub(crate) async fn typed_at(server: &str, words: &[&str]) -> Finished {
    let program = program().env("PARLANCE_SERVER", server);
    program.run(words, LONG).await
}

/// A command that works: what it printed.
pub(crate) async fn typed(service: &Parlance, words: &[&str]) -> String {
    let finished = typed_at(&service.grpc_url(), words).await;
    assert!(finished.status.success(), "{words:?}: {finished:?}");
    finished.stdout
}

/// A command that works, with `--json`: the objects that it printed.
pub(crate) async fn objects(service: &Parlance, words: &[&str]) -> Vec<Value> {
    let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
    let printed = typed(service, &words).await;
    let lines = printed.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}")))
        .collect()
}

/// The only object that it printed.
pub(crate) async fn object(service: &Parlance, words: &[&str]) -> Value {
    let [object] = &objects(service, words).await[..] else {
        panic!("{words:?} prints one object")
    };
    object.clone()
}

/// A message from us to them.
pub(crate) async fn send(service: &Parlance, text: &str) -> Value {
    object(service, &["send", "--from", OURS, "--to", THEIRS, text]).await
}

pub(crate) fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    let text = object[field].as_str();
    text.unwrap_or_else(|| panic!("{field} of {object}"))
}
