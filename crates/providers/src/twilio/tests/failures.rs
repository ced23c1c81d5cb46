//! Hand-overs that fail: which are certainly not sent, and which may have been.

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::server::{Reply, Server};
use super::*;
use crate::Outcome;

async fn send_to(url: &str) -> Outcome {
    let provider = provider_at(vec![account(url)], LONG);
    provider.texts.unwrap().send_text(text()).await
}

/// Kind of an outcome, its code and the provider's, and the wait.
fn shown(outcome: &Outcome) -> (&'static str, &str, &str, Option<u64>) {
    match outcome {
        Outcome::Accepted {
            provider_message_id,
        } => ("accepted", provider_message_id, "", None),
        Outcome::Refused(error) => ("refused", &error.code, &error.provider_code, None),
        Outcome::Later { after, error } => {
            let after = after.map(|after| after.as_secs());
            ("later", &error.code, &error.provider_code, after)
        }
        Outcome::Lost(error) => ("lost", &error.code, &error.provider_code, None),
    }
}

#[tokio::test]
async fn an_answer_is_classified_by_its_status_and_keeps_the_code() {
    for (status, code, expected) in [
        (400, 21_211, ("refused", "invalid_recipient", "21211", None)),
        (400, 21_610, ("refused", "opted_out", "21610", None)),
        (400, 99_999, ("refused", "refused", "99999", None)),
        (400, 21_611, ("later", "queue_full", "21611", Some(7))),
        (401, 20_003, ("later", "unauthorized", "20003", Some(7))),
        (403, 99_999, ("refused", "refused", "99999", None)),
        (404, 20_404, ("refused", "not_found", "20404", None)),
        (408, 99_999, ("lost", "provider_error", "99999", None)),
        (429, 20_429, ("later", "throttled", "20429", Some(7))),
        (
            307,
            99_999,
            ("later", "unexpected_answer", "99999", Some(7)),
        ),
        (500, 20_500, ("lost", "provider_error", "20500", None)),
        (503, 20_503, ("lost", "provider_error", "20503", None)),
    ] {
        let body = json!({ "code": code, "message": "why", "status": status });
        let headers = vec![
            ("retry-after", "7".to_owned()),
            ("location", "http://127.0.0.1:1/".to_owned()),
        ];
        let status = StatusCode::from_u16(status).unwrap();
        let reply = Reply::Answer(status, headers, body.to_string().into());
        let server = Server::start([reply]).await;
        let outcome = send_to(&server.url).await;
        assert_eq!(shown(&outcome), expected, "{status}");
        assert_eq!(server.requests().len(), 1, "{status}: never repeated");
    }
}

/// A proxy answers with HTML, or not at all.
#[tokio::test]
async fn a_body_that_is_not_json_does_not_hide_the_status() {
    for (status, body, expected) in [
        (
            StatusCode::BAD_REQUEST,
            Bytes::from_static(b"<html>"),
            ("refused", "refused", "", None),
        ),
        (
            StatusCode::TOO_MANY_REQUESTS,
            Bytes::new(),
            ("later", "throttled", "", None),
        ),
        (
            StatusCode::BAD_REQUEST,
            Bytes::from(vec![b'x'; 1 << 20]),
            ("refused", "refused", "", None),
        ),
        // The message exists, and its id is not known.
        (
            StatusCode::CREATED,
            Bytes::from(vec![b' '; 1 << 20]),
            ("lost", "unreadable_answer", "", None),
        ),
        (
            StatusCode::CREATED,
            Bytes::from_static(br#"{"sid":"../x"}"#),
            ("lost", "unreadable_answer", "", None),
        ),
    ] {
        let server = Server::start([Reply::Answer(status, Vec::new(), body)]).await;
        let outcome = send_to(&server.url).await;
        assert_eq!(shown(&outcome), expected);
    }
}

#[tokio::test]
async fn without_a_connection_nothing_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let outcome = send_to(&url).await;
    let expected = ("later", "unreachable_provider", "", None);
    assert_eq!(shown(&outcome), expected, "{outcome:?}");
    // The peer does not speak TLS.
    let server = Server::start([]).await;
    let outcome = send_to(&server.url.replace("http:", "https:")).await;
    assert_eq!(shown(&outcome), expected, "{outcome:?}");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_connection_that_ends_without_an_answer_may_have_sent_the_message() {
    let server = Server::start([Reply::Close]).await;
    let outcome = send_to(&server.url).await;
    assert_eq!(shown(&outcome), ("lost", "no_answer", "", None));
    assert_eq!(server.requests().len(), 1, "never repeated");
}

#[tokio::test]
async fn a_call_ends_at_its_time_limit() {
    let server = Server::start([Reply::Hang]).await;
    let url = server.url.clone();
    let sending = tokio::spawn(async move { send_to(&url).await });
    server.received().await;
    tokio::time::pause();
    tokio::time::advance(LONG).await;
    let outcome = sending.await.unwrap();
    assert_eq!(shown(&outcome), ("lost", "timeout", "", None));
}

/// The end of each request.
const LAST: &[u8] =
    b"&StatusCallback=https%3A%2F%2Fus.example%2Fwebhooks%2Ftwilio%2Fstatus%3Fmessage%3D1";

/// An answer that breaks off has a status.
#[tokio::test]
async fn a_body_that_breaks_off_does_not_hide_the_status() {
    for (head, expected) in [
        ("201 Created", ("lost", "unreadable_answer", "", None)),
        ("400 Bad Request", ("refused", "refused", "", None)),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 100\r\n\r\n{{\"sid\":\"SM1\"");
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(LAST) {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let outcome = send_to(&url).await;
        assert_eq!(shown(&outcome), expected, "{head}");
        answering.await.unwrap();
    }
}
