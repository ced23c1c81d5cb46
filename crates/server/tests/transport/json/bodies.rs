//! Bodies that are too large or too slow, and calls that are open at the end.

use std::time::Duration;

use futures_util::FutureExt as _;
use http::Method;
use parlance_server::http::json::Limits;
use parlance_testkit::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{JSON, Rehearsal, ask};
use crate::harness::{BUDGET, GET, LIMIT, SOON};

/// Sends a head and these pieces with a pause between them, and reads what comes until the port closes.
async fn trickle(rehearsal: &Rehearsal, pieces: usize) -> String {
    let mut stream = TcpStream::connect(rehearsal.http).await.unwrap();
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
    let mut told = Vec::new();
    tokio::time::timeout(SOON, read.read_to_end(&mut told))
        .await
        .expect("the port cuts what is too slow")
        .unwrap();
    drop(writing);
    String::from_utf8(told).unwrap()
}

#[tokio::test]
async fn a_body_that_stops_or_never_ends_is_cut() {
    let rehearsal = Rehearsal::hurried();
    for pieces in [0, 1_000] {
        let told = trickle(&rehearsal, pieces).await;
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
        assert!(told.contains("REQUEST_TOO_SLOW"), "{told}");
    }
}

/// The limit of a pause and that of the whole body hold without each other.
#[tokio::test]
async fn a_body_that_stops_is_cut_by_either_limit() {
    const SHORT: Duration = Duration::from_millis(300);
    const LONG: Duration = Duration::from_hours(1);
    for (pause, whole) in [(SHORT, LONG), (LONG, SHORT)] {
        let rehearsal = Rehearsal::start_with(Limits {
            pause,
            whole,
            ..Limits::of(LIMIT)
        });
        let answer = trickle(&rehearsal, 0).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("REQUEST_TOO_SLOW"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_however_it_comes() {
    let rehearsal = Rehearsal::start();
    let too_much = " ".repeat(200 * 1024);
    let told = ask(rehearsal.http, Method::POST, GET, &[JSON], too_much.clone()).await;
    told.assert_fault(413, "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE");
    assert!(
        told.json["message"]
            .as_str()
            .unwrap()
            .contains("UploadAttachment")
    );

    let mut stream = TcpStream::connect(rehearsal.http).await.unwrap();
    let head =
        format!("POST {GET} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("{:x}\r\n{too_much}\r\n0\r\n\r\n", too_much.len());
    stream.write_all((head + &chunk).as_bytes()).await.unwrap();
    let mut told = [0; 12];
    stream.read_exact(&mut told).await.unwrap();
    assert_eq!(&told, b"HTTP/1.1 413");
}

#[tokio::test]
async fn what_fits_as_json_and_not_as_a_message_is_refused_by_the_message() {
    let rehearsal = Rehearsal::start();
    let told = rehearsal.get(&[], &"x".repeat(crate::harness::LIMIT)).await;
    told.assert_fault(413, "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn a_stop_waits_for_open_calls_and_lets_nobody_in() {
    let rehearsal = Rehearsal::start();
    let http = rehearsal.http;
    let call = tokio::spawn(async move {
        let body = r#"{"id": "wait"}"#;
        ask(http, Method::POST, GET, &[JSON], body).await
    });
    rehearsal.grpc.until_handlers_wait(1).await;
    rehearsal.grpc.trigger.drain();
    let told = rehearsal.get(&[], "a").await;
    told.assert_fault(503, "UNAVAILABLE", "SHUTTING_DOWN");
    assert_eq!(told.headers["retry-after"], "1");
    assert_eq!(told.detail("RetryInfo")["retryDelay"], "0.5s");

    let mut ended = Box::pin(rehearsal.calls.ended());
    assert!(ended.as_mut().now_or_never().is_none(), "a call is open");
    rehearsal.grpc.stage.go.add_permits(1);
    assert_eq!(call.await.unwrap().json["id"], "wait");
    tokio::time::timeout(SOON, ended).await.unwrap();
}

#[tokio::test]
async fn a_cut_ends_a_call_whose_body_has_not_come() {
    let rehearsal = Rehearsal::start();
    let mut stream = TcpStream::connect(rehearsal.http).await.unwrap();
    let head = format!(
        "POST {GET} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 100 "), "the body is read");
    rehearsal.grpc.trigger.drain();
    rehearsal.grpc.trigger.cut();
    let mut answer = [0; "HTTP/1.1 503".len()];
    tokio::time::timeout(SOON, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
    tokio::time::timeout(SOON, rehearsal.calls.ended())
        .await
        .unwrap();
}

#[tokio::test]
async fn bodies_that_never_end_keep_no_more_than_the_budget() {
    const PART_BYTES: usize = 60_000;
    let rehearsal = Rehearsal::start();
    let budget = &rehearsal.grpc.budget;
    let head = format!("POST {GET} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 65000\r\n\r\n");
    let begin = async || {
        let mut stream = TcpStream::connect(rehearsal.http).await.unwrap();
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
    rehearsal.get(&[], "a").await;
    drop((first, others));
    eventually(SOON, async || (budget.used() == 0).then_some(())).await;
}
