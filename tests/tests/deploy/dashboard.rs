//! The dashboard, with a Prometheus that scrapes a service under load.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use parlance_proto::v1;
use parlance_testkit::{Postgres, Prometheus, Redis, eventually};
use parlance_tests::make::{self, chat};
use parlance_tests::raw::http1;
use parlance_tests::{Caller, SOON, Service};
use serde_json::Value;
use tokio::time::timeout;

use super::dashboard;

/// All queries of the dashboard, with Grafana's variables replaced: the panel and the query.
fn queries() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut queries = Vec::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().expect("targets") {
            let query = target["expr"].as_str().expect("a query");
            let query = query
                .replace("$__rate_interval", "10s")
                .replace("$instance", ".*");
            assert!(!query.contains('$'), "{title}: {query}");
            queries.push((title.to_owned(), query));
        }
    }
    queries
}

async fn run_query(prometheus: &Prometheus, query: &str) -> Value {
    let url = format!("{}/api/v1/query", prometheus.url());
    let mut body = String::from("query=");
    for byte in query.bytes() {
        let _ = write!(body, "%{byte:02X}");
    }
    let form = ("content-type", "application/x-www-form-urlencoded");
    let answer = http1(Method::POST, &url, &[form], Bytes::from(body)).await;
    let answer: Value = serde_json::from_str(&answer.text()).expect("JSON");
    assert_eq!(answer["status"], "success", "{query}: {answer}");
    answer["data"]["result"].clone()
}

/// Whether a result has a finite number (a division by zero gives none).
fn has_data(result: &Value) -> bool {
    let series = result.as_array().into_iter().flatten();
    series.into_iter().any(|one| {
        let value = one["value"][1]
            .as_str()
            .and_then(|value| value.parse::<f64>().ok());
        value.is_some_and(f64::is_finite)
    })
}

/// Reads, writes, and reads again.
async fn work(t: &Caller) {
    let message = t.ok(chat("", "hello")).await;
    for _ in 0..8 {
        t.message(&message.id).await;
        t.conversation(&message.conversation_id).await;
        t.ok(make::list(&message.conversation_id)).await;
    }
    t.ok(make::report(&message.id, v1::MessageStatus::Read))
        .await;
    t.message(&message.id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_shows_something() {
    let redis = Redis::start_with(["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru"]);
    let database = Postgres::shared().create_database().await;
    let service = Service::over(&database.url, |builder| {
        builder
            .redis_url(redis.url())
            .env("CACHE_AUDIT_INTERVAL", "1")
    })
    .await;
    let prometheus = Prometheus::start(&[service.http_addr]);
    let t = Caller::at(&service);
    let mut empty = queries();
    let shown = eventually(Duration::MAX, async || {
        work(&t).await;
        let mut still = Vec::new();
        for (panel, query) in empty.drain(..) {
            if !has_data(&run_query(&prometheus, &query).await) {
                still.push((panel, query));
            }
        }
        empty = still;
        empty.is_empty().then_some(())
    });
    let shown = timeout(SOON, shown).await;
    assert!(shown.is_ok(), "panels without data: {empty:#?}");
    // After a late scrape a query may briefly have no value, or a rate of nothing.
    let value = async |query: &str| {
        eventually(SOON, async || {
            let value = run_query(&prometheus, query).await;
            has_data(&value).then_some(value)
        })
        .await
    };
    let violations = value("sum(parlance_cache_audit_violations_total)").await;
    assert_eq!(violations[0]["value"][1], "0");
    let rate = value(&queries()[0].1).await;
    let rate: f64 = rate[0]["value"][1]
        .as_str()
        .and_then(|rate| rate.parse().ok())
        .expect("a rate");
    assert!((0.0..=1.0).contains(&rate), "{rate}");
}
