//! Metrics of background work.

use std::time::Duration;

use parlance_testkit::eventually;
use parlance_tests::make::chat;
use parlance_tests::raw::get;
use parlance_tests::{Caller, Kind, SOON, Service};
use tokio_postgres::NoTls;

async fn metrics(service: &Service) -> String {
    get(&format!("{}/metrics", service.http_url())).await.text()
}

/// The value of a series, if it exists.
async fn value(service: &Service, series: &str) -> Option<f64> {
    let text = metrics(service).await;
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map(|value| value.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn janitor_failures_are_counted_by_part() {
    let mut service = Service::start(Kind::Postgres).await;
    let (client, connection) = tokio_postgres::connect(service.database_url(), NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN RAISE EXCEPTION 'refused'; END $$; \
        CREATE TRIGGER refuse BEFORE DELETE ON idempotency_keys FOR EACH STATEMENT EXECUTE FUNCTION refuse()";
    client.batch_execute(refuse).await.unwrap();
    service.terminate();
    service.wait(Duration::from_secs(25)).await;
    // All parts run as soon as the service starts.
    service.start_again().await;
    eventually(SOON, async || {
        let failures = value(
            &service,
            r#"parlance_janitor_failures_total{part="request_ids"}"#,
        )
        .await;
        failures.is_some_and(|count| count >= 1.0).then_some(())
    })
    .await;
    let uploads = r#"parlance_janitor_failures_total{part="uploads"}"#;
    assert_eq!(value(&service, uploads).await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_feed_has_no_lag_without_a_watcher() {
    const LAG: &str = "parlance_feed_lag_seconds";
    let service = Service::start(Kind::Sqlite).await;
    let caller = Caller::at(&service);
    caller.ok(chat("", "hi")).await;
    assert_eq!(value(&service, LAG).await, None);
    let watching = caller.watch_from("").await;
    eventually(SOON, async || value(&service, LAG).await).await;
    drop(watching);
    eventually(SOON, async || {
        let watchers = value(&service, "parlance_feed_watchers").await;
        (watchers == Some(0.0)).then_some(())
    })
    .await;
    assert_eq!(value(&service, LAG).await, None);
}
