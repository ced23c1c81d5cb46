//! Tests of bodies that are too large or too slow, and of open calls at a shutdown.

use std::time::Duration;

use futures_util::FutureExt as _;
use http::Method;
use parlance_server::http::json::Limits;
use parlance_testkit::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{JSON, StubServer, ask};
use crate::harness::{BUDGET, GET, LIMIT, SOON};

/// Sends a head and this many pieces with pauses, and reads the response until the port closes the connection.
async fn trickle(server: &StubServer, pieces: usize) -> String {
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let head = format!("POST {GET} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let writing = tokio::spawn(async move {
        for _ in 0..pieces {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if write.write_all(b" ").await.is_err() {
                break;
            }
        }
        write
    });
    let mut response = Vec::new();
    tokio::time::timeout(SOON, read.read_to_end(&mut response))
        .await
        .expect("the port ends a slow request")
        .unwrap();
    drop(writing);
    String::from_utf8(response).unwrap()
}

#[tokio::test]
async fn a_body_that_stops_or_never_ends_is_refused() {
    let server = StubServer::with_short_timeouts();
    for pieces in [0, 1_000] {
        let response = trickle(&server, pieces).await;
        assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
        assert!(response.contains("REQUEST_TOO_SLOW"), "{response}");
    }
}

/// The limits of a pause and of the whole body each apply on their own.
#[tokio::test]
async fn a_body_that_stops_is_refused_by_either_limit() {
    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_hours(1);
    for (pause, whole) in [(SHORT, LONG), (LONG, SHORT)] {
        let server = StubServer::start_with(Limits {
            pause,
            whole,
            ..Limits::of(LIMIT)
        });
        let answer = trickle(&server, 0).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("REQUEST_TOO_SLOW"), "{answer}");
    }
}

#[tokio::test]
async fn a_too_large_body_is_refused_with_and_without_a_length() {
    let server = StubServer::start();
    let too_much = " ".repeat(200 * 1024);
    let response = ask(server.http, Method::POST, GET, &[JSON], too_much.clone()).await;
    response.assert_fault(413, "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE");
    assert!(
        response.json["message"]
            .as_str()
            .unwrap()
            .contains("UploadAttachment")
    );

    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let head =
        format!("POST {GET} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("{:x}\r\n{too_much}\r\n0\r\n\r\n", too_much.len());
    stream.write_all((head + &chunk).as_bytes()).await.unwrap();
    let mut response = [0; 12];
    stream.read_exact(&mut response).await.unwrap();
    assert_eq!(&response, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_message_over_the_limit_in_a_body_within_it_is_refused() {
    let server = StubServer::start();
    let response = server.get(&[], &"x".repeat(crate::harness::LIMIT)).await;
    response.assert_fault(413, "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE");
    let expected = format!(
        "the request is larger than MAX_REQUEST_BYTES ({} bytes); send files with UploadAttachment first",
        crate::harness::LIMIT
    );
    assert_eq!(response.json["message"], expected);
}

#[tokio::test]
async fn a_drain_waits_for_open_calls_and_refuses_new_ones() {
    let server = StubServer::start();
    let http = server.http;
    let call = tokio::spawn(async move {
        let body = r#"{"id": "wait"}"#;
        ask(http, Method::POST, GET, &[JSON], body).await
    });
    server.grpc.until_handlers_wait(1).await;
    server.grpc.trigger.drain();
    let response = server.get(&[], "a").await;
    response.assert_fault(503, "UNAVAILABLE", "SHUTTING_DOWN");
    assert_eq!(response.headers["retry-after"], "1");
    assert_eq!(response.detail("RetryInfo")["retryDelay"], "0.5s");
    // A provider repeats it at another instance.
    let webhook = ask(http, Method::POST, "/webhooks/simulator/inbound", &[], "{}").await;
    webhook.assert_fault(503, "UNAVAILABLE", "SHUTTING_DOWN");

    let mut ended = Box::pin(server.calls.ended());
    assert!(ended.as_mut().now_or_never().is_none(), "a call is open");
    server.grpc.control.release.add_permits(1);
    assert_eq!(call.await.unwrap().json["id"], "wait");
    tokio::time::timeout(SOON, ended).await.unwrap();
}

#[tokio::test]
async fn a_cut_ends_a_call_that_waits_for_its_body() {
    let server = StubServer::start();
    let mut stream = TcpStream::connect(server.http).await.unwrap();
    let head = format!(
        "POST {GET} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 100 "), "the body is read");
    server.grpc.trigger.drain();
    server.grpc.trigger.cut();
    let mut answer = [0; "HTTP/1.1 503".len()];
    tokio::time::timeout(SOON, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
    tokio::time::timeout(SOON, server.calls.ended())
        .await
        .unwrap();
}

#[tokio::test]
async fn endless_bodies_use_no_more_than_the_budget() {
    const PART_BYTES: usize = 60_000;
    let server = StubServer::start();
    let budget = &server.grpc.budget;
    let head = format!("POST {GET} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 65000\r\n\r\n");
    let begin = async || {
        let mut stream = TcpStream::connect(server.http).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; PART_BYTES]).await.unwrap();
        stream
    };
    let mut first = begin().await;
    eventually(SOON, async || (budget.used() == PART_BYTES).then_some(())).await;
    let mut others = Vec::new();
    for _ in 0..2 * BUDGET / PART_BYTES {
        others.push(begin().await);
        assert!(budget.used() <= BUDGET);
    }
    let mut answer = [0; "HTTP/1.1 503".len()];
    tokio::time::timeout(SOON, first.read_exact(&mut answer))
        .await
        .expect("the request that has been incomplete for longest is ended")
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
    server.get(&[], "a").await;
    drop((first, others));
    eventually(SOON, async || (budget.used() == 0).then_some(())).await;
}
