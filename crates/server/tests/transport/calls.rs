//! Tests of single calls: limits, deadlines, panics and errors.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use parlance_proto::v1::WatchEventsRequest;
use parlance_testkit::eventually;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::frames::{DATA, RawClient, frame, open};
use crate::harness::{GET, LIMIT, SOON, WATCH, framed, get, start};

#[track_caller]
fn assert_fault(status: &Status, code: Code, reason: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    let info = status.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(
        (info.domain.as_str(), info.reason.as_str()),
        ("parlance", reason)
    );
}

#[tokio::test]
async fn a_call_is_answered_and_counted() {
    let port = start();
    let reply = port.client().await.get_sender(get("a")).await.unwrap();
    assert_eq!(reply.into_inner().id, "a");
    port.until_counted(
        r#"grpc_server_handled_total{grpc_code="OK",grpc_method="GetSender",grpc_service="parlance.v1.SenderService"} 1"#,
    )
    .await;
    port.until_counted("grpc_server_in_flight 0").await;
}

#[tokio::test]
async fn a_too_large_request_is_refused_with_a_reason() {
    let port = start();
    let error = port
        .client()
        .await
        .get_sender(get(&"x".repeat(LIMIT)))
        .await
        .unwrap_err();
    assert_fault(&error, Code::ResourceExhausted, "MESSAGE_TOO_LARGE");
}

#[tokio::test]
async fn a_too_large_reply_is_refused_with_a_reason() {
    let port = start();
    let answer = port.raw(GET, &[], framed(&get("large"))).await;
    assert_fault(
        &answer.trailing(),
        Code::ResourceExhausted,
        "MESSAGE_TOO_LARGE",
    );
}

#[tokio::test]
async fn a_deadline_ends_the_call_and_drops_its_handler() {
    let port = start();
    let answer = port
        .raw(GET, &[("grpc-timeout", "1S")], framed(&get("wait")))
        .await;
    assert_fault(
        &answer.trailers_only(),
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
    );
    assert_eq!(port.control.dropped.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_call_with_a_deadline_of_zero_reaches_no_handler() {
    let port = start();
    let answer = port
        .raw(GET, &[("grpc-timeout", "0S")], framed(&get("wait")))
        .await;
    assert_fault(
        &answer.trailers_only(),
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
    );
    assert_eq!(port.control.waiting.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_deadline_ends_a_stream_that_has_begun() {
    let port = start();
    let watch = framed(&WatchEventsRequest::default());
    let answer = port.raw(WATCH, &[("grpc-timeout", "1S")], watch).await;
    assert!(!answer.body.is_empty(), "no event before the deadline");
    assert_fault(
        &answer.trailing(),
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
    );
}

#[tokio::test]
async fn a_malformed_deadline_is_refused() {
    let port = start();
    let answer = port
        .raw(GET, &[("grpc-timeout", "5s")], framed(&get("a")))
        .await;
    assert_fault(
        &answer.trailers_only(),
        Code::InvalidArgument,
        "MALFORMED_REQUEST",
    );
}

#[tokio::test]
async fn a_panic_ends_its_call_and_nothing_else() {
    let port = start();
    let mut client = port.client().await;
    let error = client.get_sender(get("panic")).await.unwrap_err();
    assert_fault(&error, Code::Internal, "INTERNAL");
    assert!(
        !error.message().contains("purpose"),
        "the message of a panic must not be sent"
    );
    client.get_sender(get("a")).await.unwrap();

    let watch = WatchEventsRequest {
        cursor: "panic".to_owned(),
        ..Default::default()
    };
    let answer = port.raw(WATCH, &[], framed(&watch)).await;
    assert_fault(&answer.trailing(), Code::Internal, "INTERNAL");
    client.get_sender(get("a")).await.unwrap();
}

#[tokio::test]
async fn the_status_of_a_handler_is_not_changed() {
    let port = start();
    let error = port
        .client()
        .await
        .get_sender(get("internal"))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        (Code::Internal, "message of a handler")
    );
}

#[tokio::test]
async fn an_unknown_method_is_named_and_creates_no_series() {
    let port = start();
    for path in ["/parlance.v1.SenderService/Nothing", "/made.Up/Name", "/"] {
        let status = port.raw(path, &[], Bytes::new()).await.trailers_only();
        assert_fault(&status, Code::Unimplemented, "UNKNOWN_METHOD");
        assert!(status.message().contains(path), "{status:?}");
    }
    // A method of the contract without a handler: tonic alone would send an empty message.
    let known = port
        .raw("/parlance.v1.MessageService/GetMessage", &[], Bytes::new())
        .await;
    assert_fault(
        &known.trailers_only(),
        Code::Unimplemented,
        "UNKNOWN_METHOD",
    );
    port.until_counted(
        r#"grpc_server_handled_total{grpc_code="Unimplemented",grpc_method="other",grpc_service="other"} 3"#,
    )
    .await;
    assert!(!port.metrics.text().unwrap().contains("made.Up"));
}

#[tokio::test]
async fn a_malformed_message_is_an_invalid_argument() {
    let port = start();
    let half = framed(&get("abc")).slice(..7);
    let undecodable = Bytes::from_static(&[0, 0, 0, 0, 3, 0xff, 0xff, 0xff]);
    let unannounced_gzip = Bytes::from_static(&[1, 0, 0, 0, 1, 0]);
    let flag = Bytes::from_static(&[7, 0, 0, 0, 1, 0]);
    for body in [Bytes::new(), half, undecodable, unannounced_gzip, flag] {
        let status = port.raw(GET, &[], body.clone()).await.trailers_only();
        assert_eq!(status.code(), Code::InvalidArgument, "{body:?}: {status:?}");
        assert_fault(&status, Code::InvalidArgument, "MALFORMED_REQUEST");
    }
}

#[tokio::test]
async fn a_cancelled_call_drops_its_handler() {
    let port = start();
    let mut client = port.client().await;
    let call = tokio::spawn(async move { client.get_sender(get("wait")).await });
    port.until_handlers_wait(1).await;
    call.abort();
    eventually(SOON, async || {
        (port.control.dropped.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    port.until_counted(
        r#"grpc_server_handled_total{grpc_code="Canceled",grpc_method="GetSender",grpc_service="parlance.v1.SenderService"} 1"#,
    )
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_during_a_request_is_not_a_failure() {
    let port = start();
    let mut raw = RawClient::connect(port.address).await;
    let stream = raw.next();
    let mut frames = open(stream, GET);
    frames.extend(frame(DATA, 0, stream, &framed(&get("a"))[..3]));
    raw.write(&frames).await;
    port.until_counted("grpc_server_in_flight 1").await;
    drop(raw);
    port.until_counted(
        r#"grpc_server_handled_total{grpc_code="Aborted",grpc_method="GetSender",grpc_service="parlance.v1.SenderService"} 1"#,
    )
    .await;
}
