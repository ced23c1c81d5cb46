//! Tests of `serve`: its output, and the files that it leaves.

use std::fs;
use std::process::{Command, Stdio};

use parlance_testkit::{Parlance, SqliteFile, eventually};

use crate::harness::{LONG, OURS, THEIRS, program, run};

/// Starts a service that creates its temporary folder in this folder.
async fn ephemeral_in(folder: &std::path::Path) -> Parlance {
    let program = program().arg("--ephemeral").env("TMPDIR", folder);
    program.start().await
}

#[tokio::test]
async fn an_ephemeral_service_deletes_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let entries = || fs::read_dir(folder.path()).unwrap().count();
    let service = ephemeral_in(folder.path()).await;
    assert!(service.grpc_addr.ip().is_loopback() && service.http_addr.ip().is_loopback());
    run(&service, &["send", "--chat", "c", "Hello"]).await;
    assert_eq!(entries(), 1);
    service.terminate();
    assert!(service.wait(LONG).await.success());
    assert_eq!(entries(), 0);
}

#[tokio::test]
async fn ephemeral_services_are_isolated() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (
        ephemeral_in(folder.path()).await,
        ephemeral_in(folder.path()).await,
    );
    run(&one, &["send", "--chat", "c", "Hello"]).await;
    assert_eq!(run(&one, &["list"]).await.lines().count(), 2);
    assert_eq!(run(&other, &["list"]).await.lines().count(), 1);
}

#[tokio::test]
async fn a_database_url_with_ephemeral_is_rejected() {
    let data = SqliteFile::new();
    let program = program().database_url(data.url());
    let finished = program.run(["serve", "--ephemeral"], LONG).await;
    assert_eq!(finished.status.code(), Some(2));
    assert_eq!(finished.stdout, "");
    let expected = "parlance: DATABASE_URL is set, but --ephemeral creates a temporary database";
    assert!(finished.stderr.starts_with(expected), "{finished:?}");
    assert!(!data.path().exists());
}

/// The commands of the banner can be pasted into a shell.
#[tokio::test]
async fn the_banner_names_the_real_ports() {
    let data = SqliteFile::new();
    let folder = tempfile::tempdir().unwrap();
    let banner = folder.path().join("stdout");
    let mut child = Command::new(env!("CARGO_BIN_EXE_parlance"))
        .arg("serve")
        .current_dir(folder.path())
        .env("DATABASE_URL", data.url())
        .envs(["GRPC_LISTEN", "HTTP_LISTEN"].map(|name| (name, "127.0.0.1:0")))
        .stdout(fs::File::create(&banner).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let banner = eventually(LONG, async || {
        let text = fs::read_to_string(&banner).unwrap();
        text.contains("curl ").then_some(text)
    })
    .await;
    let send = banner.lines().find(|line| line.contains(" send "));
    let sent = Command::new("sh")
        .args(["-c", send.unwrap()])
        .output()
        .unwrap();
    let curl = banner.lines().find(|line| line.contains("curl "));
    let curled = Command::new("sh").args(["-c", curl.unwrap()]).output();
    child.kill().unwrap();
    child.wait().unwrap();

    assert!(sent.status.success(), "{banner}\n{sent:?}");
    assert!(
        String::from_utf8_lossy(&sent.stdout).contains("DELIVERED"),
        "{sent:?}"
    );
    let answer = String::from_utf8_lossy(&curled.unwrap().stdout).into_owned();
    assert!(
        answer.contains("MESSAGE_STATUS_PENDING"),
        "{banner}\n{answer}"
    );
    assert!(answer.contains(OURS) && answer.contains(THEIRS), "{answer}");
    assert!(
        banner.contains("no message leaves this machine"),
        "{banner}"
    );
}
