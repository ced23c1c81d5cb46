//! Starts that succeed, and starts that must fail.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use futures_util::future::join_all;
use parlance_testkit::{
    ClosedPort, Finished, Parlance, Postgres, PostgresConfig, SqliteFile, eventually,
};
use parlance_tests::make::chat;
use parlance_tests::raw::{get, try_http1};
use parlance_tests::{Caller, Kind, SOON, Service};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn run(builder: parlance_testkit::Builder, command: &[&str]) -> (Option<i32>, Finished) {
    let finished = builder.run(command.iter().copied(), SOON).await;
    (finished.status.code(), finished)
}

#[tokio::test]
async fn an_unreachable_database_is_retried() {
    let closed_port = ClosedPort::reserve();
    let url = format!(
        "postgres://postgres:secret@{}/nothing",
        closed_port.address()
    );
    let builder = Parlance::builder()
        .database_url(url)
        .env("DATABASE_CONNECT_TIMEOUT", "5");
    let (code, finished) = run(builder, &["serve"]).await;
    assert_eq!(code, Some(1), "{finished:?}");
    let tries = finished
        .stderr
        .matches("the database is not reached yet")
        .count();
    assert!(tries >= 2, "{finished:?}");
    assert!(finished.stderr.contains("DATABASE_URL"), "{finished:?}");
    assert!(!finished.stderr.contains("secret"), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_the_database() {
    let postgres = tokio::task::spawn_blocking(|| Postgres::start(PostgresConfig::default()))
        .await
        .unwrap();
    let url = postgres.create_database().await.url.clone();
    postgres.kill9();
    let (service, ()) = tokio::join!(Service::over(&url, |b| b), postgres.restart());
    Caller::at(&service).ok(chat("", "hi")).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_fails_the_start_at_once() {
    let builder = Parlance::builder().database_url("sqlite:///proc/nothing/parlance.db");
    let (code, finished) = run(builder, &["serve"]).await;
    assert_eq!(code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("DATABASE_URL"), "{finished:?}");
    assert!(!finished.stderr.contains("not reached yet"), "{finished:?}");
}

#[tokio::test]
async fn a_wrong_password_is_not_logged() {
    let url = Postgres::shared()
        .url()
        .replace("postgres@", "no-such-user:hunter2@");
    let builder = Parlance::builder()
        .database_url(url)
        .env("DATABASE_CONNECT_TIMEOUT", "0");
    let (code, finished) = run(builder, &["serve"]).await;
    assert_eq!(code, Some(1), "{finished:?}");
    assert!(!finished.stderr.contains("hunter2"), "{finished:?}");
}

#[tokio::test]
async fn all_invalid_settings_are_reported_at_once() {
    let builder = Parlance::builder()
        .env("DATABASE_URL", "mysql://somewhere")
        .env("GRPC_LISTEN", "nowhere")
        .env("MIGRATE", "perhaps")
        .env("DATABASE_POOL_SIZE", "0")
        .env("LOG_FORMAT", "runes")
        .env("DRAIN_TIMEOUT", "soon");
    let (code, finished) = run(builder, &["serve"]).await;
    assert_eq!(code, Some(2), "{finished:?}");
    for name in [
        "DATABASE_URL",
        "GRPC_LISTEN",
        "MIGRATE",
        "DATABASE_POOL_SIZE",
        "LOG_FORMAT",
        "DRAIN_TIMEOUT",
    ] {
        assert!(
            finished.stderr.contains(name),
            "{name} in {}",
            finished.stderr
        );
    }
}

#[tokio::test]
async fn an_unknown_key_of_the_file_is_reported_with_a_suggestion() {
    let folder = SqliteFile::new();
    let file = folder.path().with_file_name("parlance.toml");
    std::fs::write(
        &file,
        "grpc_lisen = \"127.0.0.1:0\"\nmigrate = \"perhaps\"\n",
    )
    .unwrap();
    let (code, finished) = run(
        Parlance::builder(),
        &["serve", "--config", file.to_str().unwrap()],
    )
    .await;
    assert_eq!(code, Some(2), "{finished:?}");
    for text in ["grpc_lisen", "grpc_listen", "MIGRATE"] {
        assert!(
            finished.stderr.contains(text),
            "{text} in {}",
            finished.stderr
        );
    }
    let (code, finished) = run(
        Parlance::builder(),
        &["serve", "--config", "/nothing/parlance.toml"],
    )
    .await;
    assert_eq!(code, Some(2), "{finished:?}");
    let (code, finished) = run(Parlance::builder(), &["dance"]).await;
    assert_eq!(code, Some(2), "{finished:?}");
}

#[tokio::test]
async fn config_check_prints_settings_without_secrets() {
    let builder = Parlance::builder()
        .database_url("postgres://parlance:hunter2@db.example.com/parlance")
        .env("METADATA_BYTES", "1000");
    let (code, finished) = run(builder, &["config", "check"]).await;
    assert_eq!(code, Some(0), "{finished:?}");
    assert!(!finished.stdout.contains("hunter2"), "{finished:?}");
    assert!(
        finished.stdout.contains("METADATA_BYTES") && finished.stdout.contains("1000"),
        "{finished:?}"
    );
}

#[tokio::test]
async fn unreadable_certificates_are_reported_before_anything_else_happens() {
    let file = SqliteFile::new();
    let empty = file.path().with_file_name("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let builder = || {
        Parlance::builder()
            .database_url(file.url())
            .env("DATABASE_CA", "/nothing/ca.pem")
            .env("REDIS_URL", "rediss://localhost")
            .env("REDIS_CA", empty.to_str().unwrap())
    };
    for command in [&["serve"][..], &["migrate"], &["config", "check"]] {
        let (code, finished) = run(builder(), command).await;
        assert_eq!(code, Some(2), "{finished:?}");
        for text in [
            "DATABASE_CA: cannot read CA certificates from /nothing/ca.pem: No such file",
            "REDIS_CA: cannot read CA certificates from ",
            "the file has no certificate",
        ] {
            assert!(finished.stderr.contains(text), "{text}: {finished:?}");
        }
    }
    assert!(!file.path().exists());
}

#[tokio::test]
async fn a_taken_port_fails_the_start_before_the_database_is_opened() {
    let service = Service::start(Kind::Sqlite).await;
    let file = SqliteFile::new();
    let builder = Parlance::builder()
        .database_url(file.url())
        .env("GRPC_LISTEN", service.grpc_addr.to_string());
    let (code, finished) = run(builder, &["serve"]).await;
    assert_eq!(code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("GRPC_LISTEN"), "{finished:?}");
    assert!(!file.path().exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_services_start_at_once_on_an_empty_database() {
    let database = Postgres::shared().create_database().await;
    let services = join_all((0..4).map(|_| Service::over(&database.url, |b| b))).await;
    for service in &services {
        Caller::as_owner(service, "acme")
            .ok(chat("talk", "hi"))
            .await;
    }
    let last = Caller::as_owner(&services[0], "acme")
        .ok(chat("talk", "hi"))
        .await;
    assert_eq!(last.sequence, 5);
}

async fn migrations(kind: Kind) {
    let (file, database);
    let url = match kind {
        Kind::Sqlite => {
            file = SqliteFile::new();
            file.url()
        }
        Kind::Postgres => {
            database = Postgres::shared().create_database().await;
            database.url.clone()
        }
    };
    let builder = || Parlance::builder().database_url(&url);
    for _ in 0..2 {
        let (code, finished) = run(builder(), &["migrate", "--dry-run"]).await;
        assert_eq!(code, Some(3), "{finished:?}");
        assert!(finished.stdout.starts_with("missing "), "{finished:?}");
        assert!(finished.stdout.contains("parlance migrate"), "{finished:?}");
    }
    for mode in ["check", "off"] {
        let (code, finished) = run(builder().env("MIGRATE", mode), &["serve"]).await;
        assert_eq!(code, Some(1), "{finished:?}");
        let refused = format!("MIGRATE={mode}: the database lacks 2");
        assert!(finished.stderr.contains(&refused), "{finished:?}");
        assert!(finished.stderr.contains("parlance migrate"), "{finished:?}");
    }
    let (code, finished) = run(builder(), &["migrate"]).await;
    assert_eq!(code, Some(0), "{finished:?}");
    assert!(finished.stdout.starts_with("applied "), "{finished:?}");
    {
        // The search index of another language is missing.
        let off =
            |b: parlance_testkit::Builder| b.env("MIGRATE", "off").env("SEARCH_LANGUAGE", "german");
        let service = Service::over(&url, off).await;
        let url = format!("{}/readyz", service.http_url());
        eventually(SOON, async || {
            let answer = get(&url).await;
            assert_eq!(answer.code.as_u16(), 503);
            (answer.text() == "migrations are missing\n").then_some(())
        })
        .await;
        service.kill9();
    }
    for command in [&["migrate"][..], &["migrate", "--dry-run"]] {
        let (code, finished) = run(builder(), command).await;
        assert_eq!(
            (code, finished.stdout.as_str()),
            (Some(0), "the database is up to date\n")
        );
    }
    let service = Service::over(&url, |b| b.env("MIGRATE", "check")).await;
    Caller::at(&service).ok(chat("", "hi")).await;
}

#[tokio::test]
async fn migrations_sqlite() {
    migrations(Kind::Sqlite).await;
}

#[tokio::test]
async fn migrations_postgres() {
    migrations(Kind::Postgres).await;
}

/// The limits can be configured.
#[tokio::test]
async fn limits_are_configurable() {
    let service = Service::start_with(Kind::Sqlite, |b| {
        b.env("SMS_BODY_CHARS", "10")
            .env("BODY_BYTES", "20")
            .env("METADATA_BYTES", "30")
            .env("MAX_ATTACHMENTS", "1")
            .env("ATTACHMENT_BYTES", "5")
            .env("MAX_REQUEST_BYTES", "2000")
    })
    .await;
    let caller = Caller::at(&service);
    let with = |change: fn(&mut parlance_proto::v1::SendMessageRequest)| {
        let mut request = chat("", "x");
        change(&mut request);
        request
    };
    let file = |length| parlance_tests::make::file("a", "text/plain", vec![b'x'; length]);
    assert_eq!(
        caller.refused(chat("", &"x".repeat(21))).await.fields,
        ["body"]
    );
    assert_eq!(
        caller
            .refused(parlance_tests::make::sms(
                &parlance_tests::make::phones(),
                &"x".repeat(11)
            ))
            .await
            .fields,
        ["body"]
    );
    let metadata = with(|r| r.metadata = Some(parlance_tests::make::json("a", &"x".repeat(30))));
    assert_eq!(caller.refused(metadata).await.fields, ["metadata"]);
    let mut two = chat("", "x");
    two.attachments = vec![file(1), file(6)];
    assert_eq!(
        caller.refused(two).await.fields,
        ["attachments", "attachments[1].content"]
    );
    let upload = caller
        .upload(vec![parlance_tests::make::first_chunk(
            "a",
            "text/plain",
            "123456",
        )])
        .await
        .unwrap_err();
    assert_eq!(parlance_tests::Refusal::of(&upload).fields, ["data"]);
    assert_eq!(
        caller.refused(chat("", &"x".repeat(3_000))).await.reason,
        "MESSAGE_TOO_LARGE"
    );
    caller.ok(chat("", &"x".repeat(20))).await;
}

/// A restart keeps all written data, including feed cursors and request ids.
#[tokio::test]
async fn a_restart_keeps_all_data() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let mut service = Service::start(kind).await;
        let caller = Caller::at(&service);
        let request = parlance_proto::v1::SendMessageRequest {
            request_id: "r".to_owned(),
            ..chat("talk", "hi")
        };
        let message = caller.ok(request.clone()).await;
        let cursor = caller.watch_from("0").await.take(2).await[0].cursor.clone();
        service.terminate();
        service.wait(Duration::from_secs(25)).await;
        service.start_again().await;
        let caller = Caller::as_owner(&service, caller.owner());
        assert_eq!(caller.message(&message.id).await, message);
        assert_eq!(
            caller.ok_or_replayed(request).await,
            (message.clone(), true)
        );
        assert_eq!(
            caller
                .watch_from(&cursor)
                .await
                .next()
                .await
                .unwrap()
                .message,
            Some(message)
        );
        eventually(SOON, async || caller.call(chat("talk", "again")).await.ok()).await;
    }
}

/// The soft limit of open files is raised, and connections stay below the hard limit: clients beyond it cannot lock out
/// health probes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_leave_room_for_other_files() {
    const PREFACE_AND_SETTINGS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const HARD_LIMIT: usize = 256;
    let file = SqliteFile::new();
    let program = file.path().with_file_name("parlance.sh");
    let script = format!(
        "#!/bin/sh\nexec prlimit --nofile=128:{HARD_LIMIT} '{}' \"$@\"\n",
        Parlance::program().display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let service = Service::over(&file.url(), |b| {
        b.binary(&program).env("DATABASE_POOL_SIZE", "2")
    })
    .await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.pid)).unwrap();
    let files = limits.lines().find(|l| l.starts_with("Max open files"));
    let soft = files.and_then(|line| line.split_whitespace().nth(3));
    assert_eq!(soft, Some("256"), "{limits}");

    let connecting = async {
        let mut connections = Vec::new();
        for _ in 0..HARD_LIMIT {
            let mut stream = TcpStream::connect(service.grpc_addr).await.unwrap();
            // The connection is served, refused or closed, but not left waiting.
            let _ = stream.write_all(PREFACE_AND_SETTINGS).await;
            let _ = stream.read_u8().await;
            connections.push(stream);
        }
        connections
    };
    let failing = eventually(SOON, async || {
        let logs = service.logs();
        logs.contains("connections cannot be accepted")
            .then_some(logs)
    });
    let connections = tokio::select! {
        connections = connecting => connections,
        logs = failing => panic!("{logs}"),
    };
    // At the limit a probe may time out after a second, so it is retried.
    let url = format!("{}/healthz", service.http_url());
    eventually(SOON, async || {
        let probe = try_http1(http::Method::GET, &url, &[], bytes::Bytes::new()).await;
        probe.filter(|answer| answer.code == 200)
    })
    .await;
    drop(connections);
    let logs = service.logs();
    assert!(logs.contains("MAX_CONNECTIONS is"), "{logs}");
    assert!(!logs.contains("cannot be accepted"), "{logs}");
}
