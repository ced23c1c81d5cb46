//! The service is asked to stop (SIGTERM).

use std::time::{Duration, Instant};

use parlance_proto::v1;
use parlance_testkit::{Postgres, Redis, eventually};
use parlance_tests::make::{self, chat};
use parlance_tests::raw::{get, try_http1};
use parlance_tests::{Caller, Kind, Refusal, SOON, Service};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::disconnected_clients::{RowLock, SlowCommits};
use crate::load::Load;

/// Time that an orchestrator allows for the drain.
const DRAIN: Duration = Duration::from_secs(25);
/// How long the HTTP port stays open after the last call.
const HTTP_DRAIN: Duration = Duration::from_millis(500);

async fn stopped_under_load(kind: Kind) {
    let mut service = Service::start(kind).await;
    let caller = Caller::at(&service);
    let mut events = caller.watch_from("").await;
    let mut health = HealthClient::new(caller.channel());
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let mut health = health.watch(request).await.unwrap().into_inner();
    assert_eq!(
        health.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );

    let load = Load::new(&caller, 8, 100).await;
    let stopping = async {
        load.until_acknowledged(100).await;
        service.terminate();
        assert_eq!(
            health.message().await.unwrap().unwrap().status(),
            ServingStatus::NotServing
        );
        let ended = Refusal::of(&events.end().await);
        assert_eq!(
            ended.code_and_reason(),
            (Code::Unavailable, "SHUTTING_DOWN")
        );
        ended.metadata("cursor").to_owned()
    };
    let (_, cursor) = tokio::join!(load.send_once(&caller), stopping);
    drop((events, health));
    assert_eq!(
        service.wait(DRAIN).await.code(),
        Some(0),
        "{}",
        service.logs()
    );

    service.start_again().await;
    let caller = Caller::as_owner(&service, caller.owner());
    caller.watch_from(&cursor).await;
    load.verify_acknowledged(&caller).await;
    load.send_until_acknowledged(std::slice::from_ref(&caller))
        .await;
    load.verify(&caller).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_under_load_sqlite() {
    stopped_under_load(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_under_load_postgres() {
    stopped_under_load(Kind::Postgres).await;
}

/// A call that is in progress when the signal arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_progress_are_finished() {
    let service = Service::start(Kind::Postgres).await;
    let caller = Caller::at(&service);
    let id = caller.ok(chat("", "hi")).await.conversation_id;
    let lock = RowLock::conversation(&service, &id).await;
    let open = tokio::spawn({
        let (caller, id) = (caller.clone(), id.clone());
        async move { caller.call(make::reply(&id, "open")).await }
    });
    lock.until_a_call_waits().await;
    service.terminate();
    let url = service.http_url();
    eventually(SOON, async || {
        (get(&format!("{url}/readyz")).await.text() == "draining\n").then_some(())
    })
    .await;
    assert_eq!(
        get(&format!("{url}/healthz")).await.code,
        200,
        "the process is live until it exits"
    );
    let late = Caller::at(&service).call(chat("", "late")).await;
    assert_eq!(
        late.unwrap_err().code(),
        Code::Unavailable,
        "new connections are refused"
    );
    lock.release().await;
    assert_eq!(open.await.unwrap().unwrap().sequence, 2);
    assert_eq!(
        service.wait(DRAIN).await.code(),
        Some(0),
        "{}",
        service.logs()
    );
    assert!(
        try_http1(
            http::Method::GET,
            &format!("{url}/healthz"),
            &[],
            bytes::Bytes::new()
        )
        .await
        .is_none()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_stops_the_process_at_once() {
    let service = Service::start(Kind::Postgres).await;
    let caller = Caller::at(&service);
    let id = caller.ok(chat("", "hi")).await.conversation_id;
    let lock = RowLock::conversation(&service, &id).await;
    let open = tokio::spawn({
        let (caller, id) = (caller.clone(), id.clone());
        async move { caller.call(make::reply(&id, "open")).await }
    });
    lock.until_a_call_waits().await;
    service.terminate();
    eventually(SOON, async || {
        service.logs().contains("draining").then_some(())
    })
    .await;
    assert_eq!(service.exited(), None, "a call is in progress");
    service.terminate();
    assert_eq!(
        service.wait(SOON).await.code(),
        Some(3),
        "{}",
        service.logs()
    );
    open.await.unwrap().unwrap_err();
    lock.release().await;
}

/// Before the drain starts, health reports `NOT_SERVING` and calls are still answered; a regular stop logs no warning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_fails_before_the_drain_starts() {
    let service = Service::start_with(Kind::Sqlite, |b| b.env("DRAIN_DELAY", "3600")).await;
    let caller = Caller::at(&service);
    caller.ok(chat("", "before")).await;
    let mut events = caller.watch_from("").await;
    service.terminate();
    let url = format!("{}/readyz", service.http_url());
    eventually(SOON, async || {
        let answer = get(&url).await;
        (answer.code == 503 && answer.text() == "leaving\n").then_some(())
    })
    .await;
    let mut client = HealthClient::new(caller.channel());
    let request = HealthCheckRequest {
        service: "parlance.v1.MessageService".to_owned(),
    };
    let health = client.check(request).await.unwrap().into_inner();
    assert_eq!(health.status(), ServingStatus::NotServing);
    caller.ok(chat("", "on the old connection")).await;
    let new = Caller::as_owner(&service, caller.owner());
    let last = new.ok(chat("", "on a new one")).await;
    // Watches continue as well.
    events
        .until(|event| {
            event
                .message
                .as_ref()
                .is_some_and(|message| message.id == last.id)
        })
        .await;
    // The second signal ends the delay of an hour.
    service.terminate();
    assert_eq!(service.wait(DRAIN).await.code(), Some(0));
    let logs = service.logs();
    assert!(!logs.contains("WARN") && !logs.contains("ERROR"), "{logs}");
}

/// A commit continues after its client has disconnected, and the process exits after it: its keys are released in
/// Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_without_a_client_is_finished() {
    let redis = Redis::start();
    let service = Service::start_with(Kind::Postgres, |b| b.redis_url(redis.url())).await;
    let caller = Caller::at(&service);
    let id = caller.ok(chat("", "hi")).await.conversation_id;
    eventually(SOON, async || {
        let info = caller.ok(v1::GetCacheInfoRequest {}).await;
        (info.gate == "open").then_some(())
    })
    .await;
    let commits = SlowCommits::of(&service).await;
    let open = tokio::spawn({
        let (caller, id) = (caller.clone(), id.clone());
        async move { caller.call(make::reply(&id, "open")).await }
    });
    commits.until_one_waits().await;
    open.abort();
    service.terminate();
    let url = service.http_url();
    eventually(SOON, async || {
        (get(&format!("{url}/readyz")).await.text() == "draining\n").then_some(())
    })
    .await;
    // Longer than the HTTP port stays open after the last call.
    let began = Instant::now();
    while began.elapsed() < 3 * HTTP_DRAIN {
        assert_eq!(service.exited(), None, "{}", service.logs());
        assert_eq!(get(&format!("{url}/healthz")).await.code, 200);
    }
    commits.release().await;
    let ended = service.wait(DRAIN).await;
    assert_eq!(ended.code(), Some(0), "{}", service.logs());
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let fences: Vec<String> = redis::cmd("ZRANGE")
        .arg(format!("lease:{{conversation:{id}}}"))
        .arg(0)
        .arg(-1)
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(fences, Vec::<String>::new());
}

/// A suspended client answers nothing. It has no call in progress, so it does not delay the stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_idle_client_does_not_delay_a_stop() {
    const PREFACE_AND_SETTINGS: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let service = Service::start_with(Kind::Sqlite, |b| b.env("DRAIN_TIMEOUT", "3600")).await;
    let mut silent = TcpStream::connect(service.grpc_url().trim_start_matches("http://"))
        .await
        .unwrap();
    silent.write_all(PREFACE_AND_SETTINGS).await.unwrap();
    // The service has accepted the connection.
    silent.read_u8().await.unwrap();
    service.terminate();
    assert_eq!(service.wait(DRAIN).await.code(), Some(0));
    let logs = service.logs();
    assert!(!logs.contains("WARN") && !logs.contains("ERROR"), "{logs}");
}

/// Calls that take longer than the drain time-out are aborted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_has_a_time_out() {
    let service = Service::start_with(Kind::Postgres, |b| b.env("DRAIN_TIMEOUT", "1")).await;
    let caller = Caller::at(&service);
    let id = caller.ok(chat("", "hi")).await.conversation_id;
    let lock = RowLock::conversation(&service, &id).await;
    let open = tokio::spawn({
        let (caller, id) = (caller.clone(), id.clone());
        async move { caller.call(make::reply(&id, "open")).await }
    });
    lock.until_a_call_waits().await;
    service.terminate();
    assert_eq!(
        service.wait(DRAIN).await.code(),
        Some(0),
        "{}",
        service.logs()
    );
    open.await.unwrap().unwrap_err();
    lock.release().await;
}

/// Instances are replaced one after the other; a client that retries UNAVAILABLE loses nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_nothing() {
    let database = Postgres::shared().create_database().await;
    let mut services = Vec::new();
    for _ in 0..4 {
        services.push(Service::over(&database.url, |b| b).await);
    }
    let callers: Vec<Caller> = services
        .iter()
        .map(|service| Caller::as_owner(service, "acme"))
        .collect();
    let load = Load::new(&callers[3], 8, 100).await;
    let rolling = async {
        for (number, service) in services.iter().take(3).enumerate() {
            load.until_acknowledged(100 * (number + 1)).await;
            service.terminate();
            assert_eq!(
                service.wait(DRAIN).await.code(),
                Some(0),
                "{}",
                service.logs()
            );
        }
    };
    tokio::join!(load.send_until_acknowledged(&callers), rolling);
    load.verify(&callers[3]).await;
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let left = client
        .query_one("SELECT count(*) FROM messages", &[])
        .await
        .unwrap()
        .get::<_, i64>(0);
    assert_eq!(left, 800);
}
