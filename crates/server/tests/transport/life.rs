//! Tests of the end of connections and ports: drain, cut and age.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parlance_proto::v1::WatchEventsRequest;
use parlance_proto::v1::event_service_client::EventServiceClient;
use parlance_testkit::eventually;
use tokio::net::TcpStream;
use tokio_stream::StreamExt as _;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_types::StatusExt as _;

use crate::harness::{SOON, get, start, start_with};

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_drain_lets_calls_finish_and_refuses_connections() {
    let mut port = start();
    let mut client = port.client().await;
    let call = tokio::spawn({
        let mut client = client.clone();
        async move { client.get_sender(get("wait")).await }
    });
    port.until_handlers_wait(1).await;

    port.trigger.drain();
    eventually(SOON, async || TcpStream::connect(port.address).await.err()).await;
    // After GOAWAY the client opens another connection for its next call, which is refused.
    eventually(SOON, async || client.get_sender(get("a")).await.err()).await;
    assert!(!port.served.is_finished(), "a call is still open");

    port.control.release.add_permits(1);
    assert_eq!(call.await.unwrap().unwrap().into_inner().id, "wait");
    port.until_served().await;
    assert_eq!(port.open.count(), 0);
}

#[tokio::test]
async fn a_cut_ends_the_calls_that_a_drain_waits_for() {
    let mut port = start();
    let mut client = port.client().await;
    let call = tokio::spawn(async move { client.get_sender(get("wait")).await });
    port.until_handlers_wait(1).await;
    port.trigger.drain();
    port.trigger.cut();
    let error = call.await.unwrap().unwrap_err();
    let info = error.get_details_error_info().expect("an ErrorInfo");
    assert_eq!(info.reason, "SHUTTING_DOWN");
    assert!(error.get_details_retry_info().is_some());
    port.until_served().await;
}

#[tokio::test]
async fn a_drain_ends_endless_streams_with_a_status() {
    let mut port = start();
    let url = format!("http://{}", port.address);
    let mut client = EventServiceClient::connect(url).await.unwrap();
    let mut events = client
        .watch_events(WatchEventsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(events.message().await.unwrap().is_some());
    port.trigger.drain();
    let error = events.message().await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(
        error.get_details_error_info().unwrap().reason,
        "SHUTTING_DOWN"
    );
    assert!(error.get_details_retry_info().is_some());
    port.until_served().await;
}

#[tokio::test]
async fn a_drain_does_not_wait_for_an_open_client_stream() {
    let mut port = start();
    let url = format!("http://{}", port.address);
    let channel = Endpoint::new(url).unwrap().connect().await.unwrap();
    let mut client = ServerReflectionClient::new(channel);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let silent = tokio_stream::iter([request]).chain(tokio_stream::pending());
    let mut replies = client
        .server_reflection_info(silent)
        .await
        .unwrap()
        .into_inner();
    assert!(replies.message().await.unwrap().is_some());
    port.trigger.drain();
    port.until_served().await;
}

#[tokio::test]
async fn an_idle_connection_ends_with_its_age() {
    let port = start_with(SHORT, LONG);
    let _stream = TcpStream::connect(port.address).await.unwrap();
    let mut client = port.client().await;
    // A call that is written while GOAWAY arrives may fail; a client repeats it.
    let mut call = async || client.get_sender(get("a")).await.ok();
    eventually(SOON, &mut call).await;
    port.until_connections_are(0).await;
    // The client reconnects.
    eventually(SOON, &mut call).await;
}

#[tokio::test]
async fn a_call_outlives_the_age_of_its_connection() {
    let port = start_with(SHORT, LONG);
    let mut first = port.client().await;
    // A call that is written while GOAWAY arrives may fail; a client repeats it.
    let call = tokio::spawn({
        let (mut client, control) = (first.clone(), Arc::clone(&port.control));
        async move {
            loop {
                let ended = client.get_sender(get("wait")).await;
                if control.waiting.load(Ordering::SeqCst) > 0 {
                    return ended;
                }
            }
        }
    });
    port.until_handlers_wait(1).await;
    // A second connection for new calls means that the first one got GOAWAY.
    eventually(SOON, async || {
        first.get_sender(get("a")).await.ok()?;
        (port.open.count() == 2).then_some(())
    })
    .await;
    port.control.release.add_permits(1);
    call.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_does_not_outlive_the_grace() {
    let port = start_with(SHORT, SHORT);
    let mut client = port.client().await;
    let error = client.get_sender(get("wait")).await.unwrap_err();
    assert_ne!(error.code(), Code::Ok);
    port.until_connections_are(0).await;
}
