//! A backup is restored, and its pending messages may have been sent since.

use std::time::{Duration, Instant};

use parlance_proto::v1::{self, MessageStatus};
use parlance_testkit::{
    Parlance, Postgres, PostgresConfig, Proxy, Redis, SqliteFile, TestDatabase, eventually,
};
use parlance_tests::make::{get_message, phones, reply, sms};
use parlance_tests::{Caller, Kind, Refusal, SOON, Service, raw};
use tonic::Code;

/// A database with messages that no dispatcher has claimed, and a cursor of its feed.
struct Backup {
    database: TestDatabase,
    pending: Vec<v1::Message>,
    cursor: String,
    _server: Postgres,
}

async fn backup() -> Backup {
    let server = Postgres::start(PostgresConfig::default());
    let database = server.create_database().await;
    let idle = Service::over(&database.url, |b| b.env("DELIVERY_WORKERS", "0")).await;
    let t = Caller::as_owner(&idle, "acme");
    let mut watching = t.watch_from("0").await;
    let mut pending = Vec::new();
    for n in 0..3 {
        pending.push(t.ok(sms(&phones(), &n.to_string())).await);
    }
    let events = watching.take(6).await;
    let last = events.last().expect("an event");
    Backup {
        cursor: last.cursor.clone(),
        database,
        pending,
        _server: server,
    }
}

/// Number of held messages, from the metrics.
async fn held(t: &Caller) -> u64 {
    let metrics = raw::get(&format!("{}/metrics", t.http_url())).await.text();
    let of_status = |line: &&str| {
        line.starts_with("parlance_delivery_queue_depth{") && line.contains(r#"status="held""#)
    };
    let counts = metrics.lines().filter(of_status);
    counts
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

async fn until(t: &Caller, id: &str, status: MessageStatus) {
    eventually(SOON, async || {
        (t.message(id).await.status() == status).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_messages_of_a_restored_dump_are_held() {
    let backup = backup().await;
    let server = Postgres::start(PostgresConfig::default());
    let restored = server.restore_from(&backup.database).await;
    let service = Service::over(&restored.url, |b| b).await;
    let t = Caller::as_owner(&service, "acme");

    // The cursor belongs to the feed of the original database.
    let request = v1::WatchEventsRequest {
        cursor: backup.cursor.clone(),
        ..v1::WatchEventsRequest::default()
    };
    let refused = match t.watch(request).await {
        Ok(mut watching) => watching.end().await,
        Err(status) => status,
    };
    assert_eq!(
        Refusal::of(&refused).code_and_reason(),
        (Code::OutOfRange, "CURSOR_EXPIRED")
    );
    let mut watching = t.watch_from("0").await;

    // New messages are sent, in the same conversation and in another.
    let later = t
        .ok(reply(&backup.pending[0].conversation_id, "later"))
        .await;
    let other = t.ok(sms(&phones(), "other")).await;
    until(&t, &later.id, MessageStatus::Delivered).await;
    until(&t, &other.id, MessageStatus::Delivered).await;
    let first = watching.next().await.expect("an event");
    assert_eq!(first.message_id, later.id, "{first:?}");
    eventually(SOON, async || (held(&t).await == 3).then_some(())).await;
    for message in &backup.pending {
        let found = t.message(&message.id).await;
        assert_eq!(found.status(), MessageStatus::Pending, "{found:?}");
    }

    // One message was sent before the restore, as the operator knows.
    let (already_sent, rest) = backup.pending.split_first().expect("messages");
    t.ok(v1::CancelMessageRequest {
        id: already_sent.id.clone(),
    })
    .await;
    let release = ["release", "--json", "--server", &service.grpc_url()].map(str::to_owned);
    let released = Parlance::builder()
        .run(release, Duration::from_mins(2))
        .await;
    assert!(released.status.success(), "{}", released.stderr);
    assert_eq!(released.stdout.trim(), r#"{"released":"2"}"#);
    for message in rest {
        until(&t, &message.id, MessageStatus::Delivered).await;
    }
    assert_eq!(
        t.message(&already_sent.id).await.status(),
        MessageStatus::Canceled
    );
    eventually(SOON, async || (held(&t).await == 0).then_some(())).await;
}

/// Without the hold they are sent a second time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_hold_pending_messages_are_sent_again() {
    let backup = backup().await;
    let server = Postgres::start(PostgresConfig::default());
    let restored = server.restore_from(&backup.database).await;
    let service = Service::over(&restored.url, |b| b.env("HOLD_AFTER_RESTORE", "off")).await;
    let t = Caller::as_owner(&service, "acme");
    for message in &backup.pending {
        until(&t, &message.id, MessageStatus::Delivered).await;
    }
}

/// Waits until a reconciliation pass was counted and its marker is in Redis.
async fn until_open(t: &Caller) {
    eventually(SOON, async || {
        let info = t.ok(v1::GetCacheInfoRequest {}).await;
        (info.gate == "open").then_some(())
    })
    .await;
}

async fn end(service: &Service) {
    service.terminate();
    eventually(SOON, async || service.exited()).await;
}

/// Only the marker in Redis shows that the file was restored. Redis does not answer while the service starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_before_the_marker_is_checked() {
    let file = SqliteFile::new();
    let redis = Redis::start();
    let serve = async |workers: &'static str| {
        Service::over(&file.url(), |builder| {
            let held = builder.env("HOLD_AFTER_RESTORE", "on");
            held.redis_url(redis.url()).env("DELIVERY_WORKERS", workers)
        })
        .await
    };
    // Runs until a pass was counted, and shuts down.
    let run_to_shutdown = async |service: &Service| {
        until_open(&Caller::as_owner(service, "acme")).await;
        end(service).await;
    };
    let first = serve("0").await;
    let t = Caller::as_owner(&first, "acme");
    let pending = t.ok(sms(&phones(), "once")).await;
    run_to_shutdown(&first).await;
    let backup = file.path().with_extension("backup");
    std::fs::copy(file.path(), &backup).unwrap();
    run_to_shutdown(&serve("0").await).await;
    std::fs::rename(&backup, file.path()).unwrap();

    redis.pause();
    let restored = serve("1").await;
    redis.resume();
    let t = Caller::as_owner(&restored, "acme");
    eventually(SOON, async || (held(&t).await == 1).then_some(())).await;
    let found = t.message(&pending.id).await;
    assert_eq!(found.status(), MessageStatus::Pending, "{found:?}");
    let later = t.ok(sms(&phones(), "later")).await;
    until(&t, &later.id, MessageStatus::Delivered).await;
}

/// The files of a database are restored under a running instance, which cannot check the marker while Redis does not
/// answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_instance_sends_nothing_before_it_checks_the_marker() {
    restore_without_redis(false).await;
}

/// The other instance uses no Redis: it waits for the one that does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_without_a_cache_sends_nothing_before_another_checks_the_marker() {
    restore_without_redis(true).await;
}

/// Longer than an instance waits for others to register with a restored server, and shorter than it waits for Redis.
const REDIS_AWAY: Duration = Duration::from_secs(12);

async fn restore_without_redis(with_uncached_instance: bool) {
    let server = Postgres::start(PostgresConfig {
        synchronous_commit: true,
        ..PostgresConfig::default()
    });
    let redis = Redis::start();
    let database = server.create_database().await;
    let idle = Service::over(&database.url, |builder| {
        builder.redis_url(redis.url()).env("DELIVERY_WORKERS", "0")
    })
    .await;
    let t = Caller::as_owner(&idle, "acme");
    until_open(&t).await;
    let pending = t.ok(sms(&phones(), "once")).await;
    end(&idle).await;
    server.kill9();
    server.save_files();
    server.restart().await;

    let running = Service::over(&database.url, |builder| builder.redis_url(redis.url())).await;
    let t = Caller::as_owner(&running, "acme");
    until(&t, &pending.id, MessageStatus::Delivered).await;
    until_open(&t).await;
    let off = if with_uncached_instance {
        Some(Service::over(&database.url, |builder| builder.env("CACHE_BACKEND", "off")).await)
    } else {
        None
    };
    let u = Caller::as_owner(off.as_ref().unwrap_or(&running), "acme");
    server.kill9();
    server.restore_files();
    redis.pause();
    server.restart().await;
    // The instance writes again, so it could also send.
    eventually(SOON, async || {
        u.call(sms(&phones(), "meanwhile")).await.ok()
    })
    .await;
    let began = Instant::now();
    while with_uncached_instance && began.elapsed() < REDIS_AWAY {
        let found = u.message(&pending.id).await;
        assert_eq!(found.status(), MessageStatus::Pending, "{found:?}");
    }
    redis.resume();
    eventually(SOON, async || (held(&t).await >= 1).then_some(())).await;
    let found = t.message(&pending.id).await;
    assert_eq!(found.status(), MessageStatus::Pending, "{found:?}");
    let later = t.ok(sms(&phones(), "later")).await;
    until(&t, &later.id, MessageStatus::Delivered).await;
}

/// One-way delay to a database so distant that a reconciliation pass takes longer than it is valid.
const DISTANCE: Duration = Duration::from_millis(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_continue_after_a_restart_of_a_distant_database() {
    let server = Postgres::start(PostgresConfig::default());
    let database = server.create_database().await;
    let (before, rest) = database.url.rsplit_once('@').expect("a user");
    let (address, name) = rest.split_once('/').expect("a database");
    let proxy = Proxy::start(address.parse().expect("an address with a port"));
    let url = format!("{before}@{}/{name}", proxy.address());
    let service = Service::over(&url, |builder| builder).await;
    let t = Caller::as_owner(&service, "acme");
    let sent = t.ok(sms(&phones(), "before")).await;
    until(&t, &sent.id, MessageStatus::Delivered).await;
    proxy.delay(DISTANCE);
    server.kill9();
    server.restart().await;
    let request = v1::SendMessageRequest {
        request_id: "after".to_owned(),
        ..sms(&phones(), "after")
    };
    let sent = eventually(SOON, async || t.call(request.clone()).await.ok()).await;
    eventually(SOON, async || {
        let found = t.call(get_message(&sent.id)).await.ok()?;
        (found.status() == MessageStatus::Delivered).then_some(())
    })
    .await;
}

/// Holds and releases deliveries with the commands, on either database.
async fn held_and_released(kind: Kind) {
    let service = Service::start(kind).await;
    let t = Caller::as_owner(&service, "acme");
    let command = async |name: &str| {
        let command = [name, "--json", "--server", &service.grpc_url()].map(str::to_owned);
        let finished = Parlance::builder()
            .run(command, Duration::from_mins(2))
            .await;
        assert!(finished.status.success(), "{}", finished.stderr);
        finished.stdout.trim().to_owned()
    };
    let in_future = v1::SendMessageRequest {
        send_at: Some(parlance_tests::make::far_future(3_600)),
        ..sms(&phones(), "scheduled")
    };
    let scheduled = t.ok(in_future).await;
    assert_eq!(command("hold").await, r#"{"held":"1"}"#);
    t.ok(v1::CancelMessageRequest { id: scheduled.id }).await;
    let later = t.ok(sms(&phones(), "later")).await;
    until(&t, &later.id, MessageStatus::Delivered).await;
    assert_eq!(t.ok(v1::HoldDeliveryRequest {}).await.held, 0);
    assert_eq!(command("release").await, r#"{"released":"0"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_holds_and_releases() {
    held_and_released(Kind::Sqlite).await;
    held_and_released(Kind::Postgres).await;
}
