//! Tests of the log record of a call.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use parlance_proto::v1::sender_service_client::SenderServiceClient;
use parlance_testkit::eventually;
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use crate::harness::{GET, Port, SOON, framed, get, start};
use crate::json::{JSON, StubServer, ask};

/// Captured log records of calls in this process.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One subscriber for all tests: with one per thread, the first use on another thread decides which levels are enabled.
static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let writer = log.clone();
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(move || writer.clone());
    let calls = EnvFilter::new("parlance_transport::layers::call=debug");
    let subscriber = tracing_subscriber::registry().with(calls).with(lines);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log
});

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Waits for this many records with this request id.
    async fn of(&self, request_id: &str, count: usize) -> Vec<Value> {
        eventually(SOON, async || {
            let lines = self.text();
            let lines = lines
                .lines()
                .map(|line| serde_json::from_str(line).unwrap());
            let lines: Vec<Value> = lines
                .filter(|l: &Value| l["request_id"] == request_id)
                .collect();
            (lines.len() >= count).then_some(lines)
        })
        .await
    }
}

const OWNER: &str = "anna@example.com";

async fn call(port: &Port, id: &str, request_id: &str) {
    let headers = [
        ("x-parlance-owner", OWNER),
        ("x-request-id", request_id),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ];
    port.raw(GET, &headers, framed(&get(id))).await;
}

#[tokio::test]
async fn a_failure_is_one_record_with_its_cause_and_without_the_owner() {
    let log = &*LOG;
    let port = start();
    for id in ["unavailable", "panic"] {
        call(&port, id, "failing").await;
    }
    let lines = log.of("failing", 2).await;
    let [first, second] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(first["level"], "INFO");
    assert_eq!(first["rpc"], GET);
    assert_eq!(first["code"], "Unavailable");
    assert_eq!(first["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(first["ms"].as_f64().unwrap() > 0.0);
    let ms = first["ms"].to_string();
    let decimals = ms.split_once('.').map_or("", |(_, decimals)| decimals);
    assert!(decimals.len() <= 3, "{ms}");
    assert_eq!(first["owner"].as_str().unwrap().len(), 16);
    assert_eq!(first["cause"], "UNAVAILABLE");
    assert_eq!(
        (&second["level"], &second["code"]),
        (&"INFO".into(), &"Internal".into())
    );
    assert_eq!(second["owner"], first["owner"]);
    assert!(!log.text().contains(OWNER));
}

/// A refusal before the call is not logged, and leaves its cause on the thread that serves the next call.
#[tokio::test]
async fn a_call_is_not_logged_with_the_cause_of_another() {
    let log = &*LOG;
    let server = StubServer::start();
    let headers = [JSON, ("origin", "http://evil.example")];
    let refused = server.get(&headers, "a").await;
    refused.assert_fault(403, "PERMISSION_DENIED", "ORIGIN_NOT_ALLOWED");
    // A failure without a reason.
    call(&server.grpc, "internal", "after-refusal").await;
    let lines = log.of("after-refusal", 1).await;
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(
        (&line["code"], &line["cause"]),
        (&"Internal".into(), &Value::Null)
    );
}

#[tokio::test]
async fn every_other_call_is_one_record_at_debug() {
    let log = &*LOG;
    let port = start();
    call(&port, "a", "good").await;
    // Not a failure of the service.
    call(&port, &"x".repeat(crate::harness::LIMIT), "refused").await;
    for (request_id, code) in [("good", "OK"), ("refused", "ResourceExhausted")] {
        let lines = log.of(request_id, 1).await;
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(
            (&line["level"], &line["code"]),
            (&"DEBUG".into(), &code.into())
        );
    }
}

#[tokio::test]
async fn a_call_that_a_shutdown_cuts_is_a_failure_with_its_cause() {
    let log = &*LOG;
    let port = start();
    let url = format!("http://{}", port.address);
    let mut client = SenderServiceClient::connect(url).await.unwrap();
    let mut request = tonic::Request::new(get("wait"));
    let metadata = request.metadata_mut();
    metadata.insert("x-request-id", "cut".parse().unwrap());
    let waiting = tokio::spawn(async move { client.get_sender(request).await });
    port.until_handlers_wait(1).await;
    port.trigger.drain();
    port.trigger.cut();
    // The client only sees that its connection has ended.
    waiting.await.unwrap().unwrap_err();
    let lines = log.of("cut", 1).await;
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(
        (&line["level"], &line["code"], &line["cause"]),
        (
            &"INFO".into(),
            &"Unavailable".into(),
            &"SHUTTING_DOWN".into()
        )
    );
}

#[tokio::test]
async fn a_refused_json_field_is_logged_with_its_reason() {
    let log = &*LOG;
    let server = StubServer::start();
    let headers = [JSON, ("x-request-id", "json")];
    ask(
        server.http,
        http::Method::POST,
        GET,
        &headers,
        r#"{"colour": 1}"#,
    )
    .await;
    let lines = log.of("json", 1).await;
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert_eq!(
        (&line["code"], &line["cause"]),
        (&"InvalidArgument".into(), &"INVALID_REQUEST".into())
    );
}
