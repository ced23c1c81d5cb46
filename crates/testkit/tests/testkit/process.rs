use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::Duration;

use parlance_testkit::{Builder, Parlance};
use tempfile::TempDir;

use super::SOON;

/// Stand-in for the service: prints its arguments, announces ports, and exits with 7 on SIGTERM.
const SERVICE: &str = r#"#!/bin/sh
trap 'echo ending >&2; exit 7' TERM
echo "args: $*; database: $DATABASE_URL; grpc: $GRPC_LISTEN; environment: $(env | sort | tr '\n' ' ')" >&2
echo starting
echo '{"grpc":"127.0.0.1:4001","http":"127.0.0.1:4002"}'
while :; do sleep 0.01; done
"#;

fn stand_in(script: &str) -> (TempDir, Builder) {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("parlance");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (dir, Parlance::builder().binary(path))
}

#[tokio::test]
async fn starts_in_a_clean_environment_and_reports_its_ports() {
    let (_dir, builder) = stand_in(SERVICE);
    let service = builder
        .database_url("sqlite:///nowhere")
        .env("GRPC_LISTEN", "127.0.0.1:9")
        .arg("--more")
        .start()
        .await;
    assert_eq!(service.grpc_url(), "http://127.0.0.1:4001");
    assert_eq!(service.http_addr.port(), 4002);
    let logs = service.logs();
    assert!(logs.contains("args: serve --ports-json --more;"), "{logs}");
    assert!(
        logs.contains("database: sqlite:///nowhere; grpc: 127.0.0.1:9;"),
        "{logs}"
    );
    assert!(!logs.contains("CARGO"), "{logs}");
}

#[tokio::test]
async fn ends_on_sigterm() {
    let (_dir, builder) = stand_in(SERVICE);
    let service = builder.start().await;
    assert!(service.exited().is_none());
    service.terminate();
    assert_eq!(service.wait(SOON).await.code(), Some(7));
    assert!(service.logs().contains("ending"));
}

#[tokio::test]
async fn kill9_and_drop_kill_the_service() {
    let (_dir, builder) = stand_in(SERVICE);
    let service = builder.clone().start().await;
    service.kill9();
    assert_eq!(service.wait(SOON).await.signal(), Some(9));

    let dropped = builder.start().await;
    let pid = dropped.pid;
    drop(dropped);
    assert!(!super::is_alive(pid));
}

#[tokio::test]
async fn a_stopped_service_handles_signals_after_it_is_continued() {
    let (_dir, builder) = stand_in(SERVICE);
    let service = builder.start().await;
    service.stop();
    service.terminate();
    assert!(service.exited().is_none());
    service.cont();
    assert_eq!(service.wait(SOON).await.code(), Some(7));
}

#[tokio::test]
#[should_panic(expected = "no database")]
async fn a_service_that_fails_to_start_shows_its_log() {
    let (_dir, builder) = stand_in("#!/bin/sh\necho no database >&2\nexit 1\n");
    builder.start().await;
}

#[tokio::test]
#[should_panic(expected = "did not end within")]
async fn waiting_is_bounded() {
    let (_dir, builder) = stand_in(SERVICE);
    builder.start().await.wait(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn a_command_runs_to_its_end() {
    let (_dir, builder) = stand_in("#!/bin/sh\necho \"did $*\"\necho why >&2\nexit 3\n");
    let finished = builder.run(["migrate"], SOON).await;
    assert_eq!(finished.status.code(), Some(3));
    assert_eq!(
        (finished.stdout.as_str(), finished.stderr.as_str()),
        ("did migrate\n", "why\n")
    );
}
