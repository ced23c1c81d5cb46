//! Clients that cancel, stop, or send too much: they use no more memory than the limits, and do not affect other clients.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Method, Request};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::rt::{TokioExecutor, TokioIo};
use parlance_proto::v1::WatchEventsRequest;
use parlance_testkit::eventually;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_types::StatusExt as _;

use crate::frames::{DATA, ENHANCE_YOUR_CALM, HEADERS, RawClient, SETTINGS, frame, open};
use crate::harness::{
    BUDGET, GET, LIMIT, REFLECTION, RawResponse, SOON, WATCH, framed, get, start,
};
use crate::json::{JSON, TestServer, ask};

/// Maximum number of concurrent calls on one connection of the harness.
const STREAMS: usize = 256;

#[tokio::test]
async fn ordinary_cancellation_does_not_close_the_connection() {
    let port = start();
    let mut client = RawClient::connect(port.address).await;
    let watcher = client
        .call(WATCH, &framed(&WatchEventsRequest::default()))
        .await;
    assert!(!client.message(watcher, &[watcher]).await.is_empty());
    let waiting = client.call(GET, &framed(&get("wait"))).await;
    port.until_handlers_wait(1).await;

    // A client, or the clients of a proxy, cancel all open calls several times in a row.
    for calls in [50, 200, STREAMS - 2, STREAMS - 2, STREAMS - 2] {
        client.open_and_cancel(GET, calls).await.unwrap();
        let next = client.call(GET, &framed(&get("next"))).await;
        let watched = [watcher, waiting];
        assert!(!client.message(next, &watched).await.is_empty(), "{calls}");
    }
    port.control.release.add_permits(1);
    assert!(!client.message(waiting, &[watcher]).await.is_empty());
    assert_eq!(port.open.count(), 1);
}

/// The clock is paused, so all resets happen within one second on a machine of any speed.
#[tokio::test(start_paused = true)]
async fn rapid_reset_closes_the_connection() {
    let port = start();
    let (mut reader, mut writer) = RawClient::connect(port.address).await.split();
    let writer = tokio::spawn(async move {
        // Without a limit this would go on.
        for _ in 0..1_000 {
            if writer.open_and_cancel(GET, STREAMS).await.is_err() {
                return true;
            }
        }
        false
    });
    let ended = tokio::time::timeout(SOON, reader.until_go_away()).await;
    assert_eq!(ended.expect("the connection ends"), Some(ENHANCE_YOUR_CALM));
    assert!(writer.await.unwrap(), "the client could not continue");
    let mut other = port.client().await;
    assert_eq!(
        other.get_sender(get("a")).await.unwrap().into_inner().id,
        "a"
    );
}

#[tokio::test]
async fn endless_requests_use_no_more_than_the_budget() {
    let port = start();
    let mut abuser = RawClient::connect(port.address).await;
    abuser.reader.until_window_update().await;
    // A message of maximum size without its last bytes.
    let length = u32::try_from(LIMIT).unwrap().to_be_bytes();
    let part = [&[0][..], &length, &vec![0; LIMIT - 100]].concat();
    for _ in 0..STREAMS {
        let stream = abuser.next();
        abuser.write(&open(stream, GET)).await;
        abuser.write(&frame(DATA, 0, stream, &part)).await;
    }
    let ended = tokio::spawn(async move {
        let mut ended = 0;
        while (ended + 1) * part.len() + BUDGET < STREAMS * part.len() {
            let frame = abuser.reader.frame().await.expect("a frame");
            ended += usize::from(frame.kind == HEADERS && frame.ends_stream());
        }
        abuser
    });
    let used = || (port.budget.used() > BUDGET / 2).then_some(());
    eventually(SOON, async || used()).await;
    let mut client = port.client().await;
    for _ in 0..20 {
        client.get_sender(get("a")).await.unwrap();
        let used = port.budget.used();
        assert!(used <= BUDGET, "{used}");
    }
    // Requests beyond the budget have been ended.
    let abuser = tokio::time::timeout(SOON, ended).await.unwrap().unwrap();
    client.get_sender(get("a")).await.unwrap();
    drop(abuser);
    eventually(SOON, async || (port.budget.used() == 0).then_some(())).await;
}

/// Streams may pause without a limit, so no timeout ends the requests that fill the budget. Only ending one of them makes room.
#[tokio::test]
async fn calls_complete_while_endless_requests_fill_the_budget() {
    let port = start();
    let mut abuser = RawClient::connect(port.address).await;
    abuser.reader.until_window_update().await;
    let length = u32::try_from(LIMIT).unwrap().to_be_bytes();
    let part = [&[0][..], &length, &vec![0; LIMIT - 100]].concat();
    let count = BUDGET / part.len();
    for _ in 0..count {
        let stream = abuser.next();
        abuser.write(&open(stream, REFLECTION)).await;
        abuser.write(&frame(DATA, 0, stream, &part)).await;
    }
    let filled = count * part.len();
    eventually(SOON, async || (port.budget.used() == filled).then_some(())).await;
    // More than the rest of the budget.
    let id = "x".repeat(LIMIT - 1_000);
    assert!(filled + id.len() > BUDGET);
    let mut client = port.client().await;
    for _ in 0..20 {
        let reply = client.get_sender(get(&id)).await.unwrap();
        assert_eq!(reply.into_inner().id, id);
    }
    assert!(
        port.budget.used() > BUDGET / 2,
        "most of the requests are open"
    );
}

#[tokio::test]
async fn bytes_count_until_the_handler_is_done() {
    let port = start();
    let mut client = RawClient::connect(port.address).await;
    let request = framed(&get("wait"));
    let call = client.call(GET, &request).await;
    port.until_handlers_wait(1).await;
    assert_eq!(port.budget.used(), request.len());
    port.control.release.add_permits(1);
    assert!(!client.message(call, &[]).await.is_empty());
    eventually(SOON, async || (port.budget.used() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_stream_of_more_than_the_budget_is_read() {
    const MESSAGE_BYTES: usize = 16 * 1024;
    const MESSAGES: usize = 3 * BUDGET / MESSAGE_BYTES;
    let port = start();
    let url = format!("http://{}", port.address);
    let channel = Endpoint::new(url).unwrap().connect().await.unwrap();
    let mut client = ServerReflectionClient::new(channel);
    let request = ServerReflectionRequest {
        host: "x".repeat(MESSAGE_BYTES),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = futures_util::stream::iter(vec![request; MESSAGES]);
    let requests = requests.chain(futures_util::stream::pending());
    let replies = client.server_reflection_info(requests).await.unwrap();
    let mut replies = replies.into_inner();
    for _ in 0..MESSAGES {
        assert!(replies.message().await.unwrap().is_some());
        assert!(port.budget.used() <= BUDGET);
    }
    // The stream is open, and all of its messages have been read.
    eventually(SOON, async || (port.budget.used() == 0).then_some(())).await;
}

/// The paused clock does not advance while tasks run, and jumps when all of them wait.
#[tokio::test(start_paused = true)]
async fn a_new_connection_that_sends_too_little_is_closed() {
    let port = start();
    for sent in [&b""[..], b"PRI * HTTP/2.0"] {
        let mut stream = TcpStream::connect(port.address).await.unwrap();
        stream.write_all(sent).await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await;
        closed.expect("the connection is closed").unwrap();
        assert!(answer.is_empty(), "{answer:?}");
    }
    port.until_connections_are(0).await;
}

/// The paused clock does not advance while tasks run, and jumps when all of them wait.
#[tokio::test(start_paused = true)]
async fn a_unary_request_that_pauses_is_ended() {
    let port = start();
    let stream = TcpStream::connect(port.address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let begun = framed(&get("a")).slice(..6);
    let frames = [Ok::<_, Infallible>(Frame::data(begun))];
    let body =
        StreamBody::new(futures_util::stream::iter(frames).chain(futures_util::stream::pending()));
    let request = Request::post(format!("http://{}{GET}", port.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap();
    let answer = RawResponse::read(sender.send_request(request).await.unwrap()).await;
    let status = answer.trailers_only();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "REQUEST_TOO_SLOW");
    assert!(status.get_details_retry_info().is_some());
    assert!(answer.headers.contains_key("grpc-retry-pushback-ms"));
    assert_eq!(port.budget.used(), 0);
}

#[tokio::test]
async fn empty_frames_are_bounded() {
    let port = start();
    let mut client = RawClient::connect(port.address).await;
    let stream = client.next();
    client.write(&open(stream, GET)).await;
    let empty: Vec<u8> = (0..2_000)
        .flat_map(|_| frame(DATA, 0, stream, &[]))
        .collect();
    client.write(&empty).await;
    let ended = tokio::time::timeout(SOON, client.reader.until_go_away()).await;
    assert_eq!(ended.unwrap(), Some(ENHANCE_YOUR_CALM));
    let mut other = port.client().await;
    other.get_sender(get("a")).await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_and_health_is_not() {
    let server = TestServer::open_with(&[("MAX_CONNECTIONS", "1")]).await;
    let first = TcpStream::connect(server.http).await.unwrap();
    // Accepted after the first, so beyond the limit.
    let health = ask(server.http, Method::GET, "/healthz", &[], Bytes::new()).await;
    assert_eq!(health.code, 200);
    let ready = ask(server.http, Method::GET, "/readyz", &[], Bytes::new()).await;
    assert_eq!(ready.code, 200);
    let call = async || {
        let path = "/parlance.v1.SenderService/ListSenders";
        ask(server.http, Method::POST, path, &[JSON], "{}").await
    };
    let refused = call().await;
    refused.assert_fault(503, "UNAVAILABLE", "OVERLOADED");
    assert_eq!(refused.headers["retry-after"], "1");

    let mut grpc = RawClient::connect(server.running.grpc).await;
    let settings = grpc.reader.frame().await.unwrap();
    assert_eq!(settings.kind, SETTINGS);
    let ended = tokio::time::timeout(SOON, grpc.reader.until_go_away()).await;
    assert_eq!(ended.unwrap(), Some(ENHANCE_YOUR_CALM));

    drop(first);
    eventually(SOON, async || (call().await.code == 200).then_some(())).await;
}

/// The connections reserved for probes are closed soon, even if the client is busy.
#[tokio::test]
async fn a_connection_beyond_the_limit_is_closed_soon() {
    let server = TestServer::open_with(&[("MAX_CONNECTIONS", "1")]).await;
    let _first = TcpStream::connect(server.http).await.unwrap();
    let mut beyond = TcpStream::connect(server.http).await.unwrap();
    let probing = async {
        let mut answer = [0; 4096];
        for answered in 0_u64.. {
            let written = beyond
                .write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
                .await;
            if written.is_err() || !matches!(beyond.read(&mut answer).await, Ok(1..)) {
                return answered;
            }
        }
        unreachable!("the connection is closed before")
    };
    let answered = tokio::time::timeout(SOON, probing).await;
    assert!(answered.expect("the connection is closed") > 0);
}
