//! The database fails and recovers.

use std::time::Duration;

use parlance_testkit::{Postgres, PostgresConfig, eventually};
use parlance_tests::make::{self, chat};
use parlance_tests::raw::get;
use parlance_tests::{Caller, Refusal, SOON, Service};
use tokio_postgres::NoTls;
use tonic::{Code, Request};

use crate::load::{Load, assert_transient};

/// A Postgres server that loses no acknowledged commit, and a service.
async fn pair() -> (Postgres, Service) {
    let config = PostgresConfig {
        synchronous_commit: true,
        ..Default::default()
    };
    let postgres = tokio::task::spawn_blocking(|| Postgres::start(config))
        .await
        .unwrap();
    let url = postgres.create_database().await.url.clone();
    let service = Service::over(&url, |b| b).await;
    (postgres, service)
}

pub(crate) async fn until_ready(service: &Service, ready: bool) -> String {
    let url = format!("{}/readyz", service.http_url());
    eventually(SOON, async || {
        let answer = get(&url).await;
        (answer.code.is_success() == ready).then(|| answer.text())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_killed_and_comes_back() {
    let (postgres, service) = pair().await;
    let caller = Caller::at(&service);
    let known = caller.ok(chat("", "before")).await;
    let load = Load::new(&caller, 8, 75).await;
    let outage = async {
        load.until_acknowledged(150).await;
        postgres.kill9();

        let reason = until_ready(&service, false).await;
        assert!(
            reason.starts_with("the database does not answer"),
            "{reason}"
        );
        assert_eq!(
            get(&format!("{}/healthz", service.http_url())).await.code,
            200,
            "a restart of the service would not help"
        );
        // Open connections fail one after the other; then there are none.
        let refusal = eventually(SOON, async || {
            let status = caller
                .call(make::get_message(&known.id))
                .await
                .expect_err("the database is down");
            assert_transient(&status);
            (status.code() == Code::Unavailable).then(|| Refusal::of(&status))
        })
        .await;
        assert_eq!(
            refusal.code_and_reason(),
            (Code::Unavailable, "DATABASE_UNAVAILABLE")
        );
        assert_eq!(
            (refusal.retry_after, refusal.pushback.as_deref()),
            (Some(Duration::from_secs(1)), Some("1000"))
        );
        assert_eq!(
            caller.refused(chat("", "during")).await.code_and_reason(),
            (Code::Unavailable, "DATABASE_UNAVAILABLE")
        );
        let watch = caller
            .watch(parlance_proto::v1::WatchEventsRequest::default())
            .await
            .unwrap_err();
        assert_eq!(
            Refusal::of(&watch).code_and_reason(),
            (Code::Unavailable, "DATABASE_UNAVAILABLE")
        );

        postgres.restart().await;
        assert_eq!(until_ready(&service, true).await, "ready\n");
    };
    let (refused, ()) = tokio::join!(
        load.send_until_acknowledged(std::slice::from_ref(&caller)),
        outage
    );
    assert!(refused > 0, "no call was refused");
    assert_eq!(caller.message(&known.id).await, known);
    load.verify(&caller).await;
    assert_eq!(service.exited(), None);
}

/// A watch continues after the outage, and misses no event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_continues_after_an_outage() {
    let (postgres, service) = pair().await;
    let caller = Caller::at(&service);
    let mut events = caller.watch_from("").await;
    caller.ok(chat("talk", "before")).await;
    events.take(2).await;
    postgres.kill9();
    until_ready(&service, false).await;
    postgres.restart().await;
    until_ready(&service, true).await;
    eventually(SOON, async || caller.call(chat("talk", "after")).await.ok()).await;
    let event = events.next().await.unwrap();
    assert_eq!(event.message.unwrap().body, "after");
}

/// The server neither answers nor fails: only deadlines end a call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_is_paused() {
    let (postgres, service) = pair().await;
    let caller = Caller::at(&service);
    let known = caller.ok(chat("", "before")).await;
    postgres.pause();
    assert_eq!(
        until_ready(&service, false).await,
        "the database does not answer within a second\n"
    );
    let mut hurried = Request::new(make::get_message(&known.id));
    hurried.set_timeout(Duration::from_millis(300));
    let status = caller.call_with(hurried).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status:?}"
    );
    postgres.resume();
    until_ready(&service, true).await;
    let again = eventually(SOON, async || {
        caller.call(make::get_message(&known.id)).await.ok()
    })
    .await;
    assert_eq!(again, known);
}

/// Connections end at any time, as on a failover, a restart of a pooler, or by an administrator.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_survive_terminated_connections() {
    let (postgres, service) = pair().await;
    let caller = Caller::at(&service);
    let load = Load::new(&caller, 6, 50).await;
    let (client, connection) = tokio_postgres::connect(postgres.url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test%'";
    let cutting = async {
        for round in 1..=5 {
            load.until_acknowledged(round * 40).await;
            client.execute(cut, &[]).await.unwrap();
        }
    };
    tokio::join!(
        load.send_until_acknowledged(std::slice::from_ref(&caller)),
        cutting
    );
    load.verify(&caller).await;
}

/// More concurrent calls than pooled connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_than_pooled_connections() {
    let postgres = Postgres::shared();
    let url = postgres.create_database().await.url.clone();
    let service = Service::over(&url, |b| b.env("DATABASE_POOL_SIZE", "2")).await;
    let caller = Caller::at(&service);
    let load = Load::new(&caller, 8, 40).await;
    load.send_until_acknowledged(std::slice::from_ref(&caller))
        .await;
    load.verify(&caller).await;
}
