//! SQLite on a full disk, and with space again.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use parlance_testkit::{Parlance, SqliteFile, eventually};
use parlance_tests::make::{self, chat};
use parlance_tests::raw::get;
use parlance_tests::{Caller, Refusal, SOON, Service};
use tonic::Code;

/// Limits the size of every file of the process; `unlimited` removes the limit. A write beyond it fails as on a full
/// disk.
fn limit(service: &Service, bytes: &str) {
    let pid = service.pid.to_string();
    let fsize = format!("--fsize={bytes}:unlimited");
    let limited = Command::new("prlimit")
        .args(["--pid", &pid, &fsize])
        .status()
        .expect("prlimit of util-linux");
    assert!(limited.success());
}

async fn readiness(service: &Service) -> (bool, String) {
    let answer = get(&format!("{}/readyz", service.http_url())).await;
    (answer.code.is_success(), answer.text())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_unavailable_until_there_is_space() {
    let file = SqliteFile::new();
    // SIGXFSZ, which comes with the limit, would end the process.
    let program = file.path().with_file_name("parlance.sh");
    let script = format!(
        "#!/bin/sh\ntrap '' XFSZ\nexec '{}' \"$@\"\n",
        Parlance::program().display()
    );
    std::fs::write(&program, script).expect("a script");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let service = Service::over(&file.url(), |b| b.binary(&program).env("RUST_LOG", "info")).await;
    let t = Caller::at(&service);
    let mut acknowledged = vec![t.ok(chat("talk", "first")).await.id];

    limit(&service, "65536");
    let status = loop {
        match t.call(chat("talk", &"x".repeat(10_000))).await {
            Ok(message) => acknowledged.push(message.id),
            Err(status) => break status,
        }
    };
    let refusal = Refusal::of(&status);
    let expected = (Code::Unavailable, "DATABASE_UNAVAILABLE");
    assert_eq!(refusal.code_and_reason(), expected, "{refusal:?}");
    assert!(refusal.retry_after.is_some() && refusal.pushback.is_some());
    // The client gets the reason; the log has the error of SQLite as well.
    let line = eventually(SOON, async || {
        let logs = service.logs();
        let mut lines = logs.lines();
        let line = lines.find(|line| line.contains("a call failed"));
        line.map(str::to_owned)
    })
    .await;
    let cause = line.split_once("DATABASE_UNAVAILABLE: ");
    assert!(
        cause.is_some_and(|(_, cause)| cause.contains("disk")),
        "{line}"
    );
    eventually(SOON, async || {
        let (ready, text) = readiness(&service).await;
        (!ready && text.starts_with("the database takes no writes")).then_some(())
    })
    .await;
    // Reads continue.
    for id in &acknowledged {
        t.ok(make::get_message(id)).await;
    }

    limit(&service, "unlimited");
    eventually(SOON, async || readiness(&service).await.0.then_some(())).await;
    acknowledged.push(t.ok(chat("talk", "last")).await.id);
    for id in &acknowledged {
        t.ok(make::get_message(id)).await;
    }
}
