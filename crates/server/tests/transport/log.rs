//! The line that the log has of every call.

use std::io::Write;
use std::sync::{Arc, Mutex};

use parlance_testkit::eventually;
use serde_json::Value;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;

use crate::harness::{GET, Port, SOON, framed, get, start};

/// What was logged on this thread, where the port of the test runs.
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

impl Log {
    fn at(level: LevelFilter) -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(level)
            .with_writer(move || writer.clone())
            .finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines of calls.
    fn calls(&self) -> Vec<Value> {
        let lines = self.text();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|line: &Value| !line["rpc"].is_null())
            .collect()
    }
}

const HEADERS: [(&str, &str); 3] = [
    ("x-parlance-owner", "anna@example.com"),
    ("x-request-id", "r-1"),
    (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
];

async fn call(port: &Port, id: &str) {
    port.raw(GET, &HEADERS, framed(&get(id))).await;
}

#[tokio::test]
async fn a_failure_is_one_line_with_its_cause_and_without_a_name() {
    let port = start();
    let (log, _guard) = Log::at(LevelFilter::INFO);
    call(&port, "a").await;
    call(&port, "unavailable").await;
    call(&port, "panic").await;
    let lines = eventually(SOON, async || Some(log.calls()).filter(|l| l.len() == 2)).await;
    let first = &lines[0];
    assert_eq!(first["level"], "INFO");
    assert_eq!(first["rpc"], GET);
    assert_eq!(first["code"], "Unavailable");
    assert_eq!(first["request_id"], "r-1");
    assert_eq!(first["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(first["ms"].as_f64().unwrap() > 0.0);
    assert_eq!(first["owner"].as_str().unwrap().len(), 16);
    assert_eq!(first["cause"], "UNAVAILABLE");
    assert_eq!(lines[1]["code"], "Internal");
    assert_eq!(lines[1]["owner"], first["owner"]);
    assert!(!log.text().contains("anna"));
}

#[tokio::test]
async fn every_call_is_a_line_at_debug() {
    let port = start();
    let (log, _guard) = Log::at(LevelFilter::DEBUG);
    port.raw(GET, &[], framed(&get("a"))).await;
    let lines = eventually(SOON, async || Some(log.calls()).filter(|l| !l.is_empty())).await;
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["level"], &lines[0]["code"]),
        (&"DEBUG".into(), &"OK".into())
    );
    assert!(lines[0]["owner"].is_null() && lines[0]["cause"].is_null());
}
