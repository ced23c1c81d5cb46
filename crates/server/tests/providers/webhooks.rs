//! Webhooks of both providers.

use http::StatusCode;
use serde_json::json;

use crate::EXAMPLE;
use crate::example::{NAME, signed};
use crate::service::{OURS, Service, THEIRS, post};

const INBOUND: &str = "/webhooks/example/inbound";

fn inbound(to: &str, body: &str) -> String {
    json!({ "id": "in-1", "channel": "sms", "from": THEIRS, "to": to, "body": body }).to_string()
}

fn json_type() -> (&'static str, String) {
    ("content-type", "application/json".to_owned())
}

async fn with_sender() -> Service {
    let service = Service::start(&[EXAMPLE]).await;
    let sender = json!({ "channel": "CHANNEL_SMS", "address": OURS, "provider": NAME });
    let request = json!({ "sender": sender });
    service.ok("SenderService/CreateSender", &request).await;
    service
}

#[tokio::test]
async fn an_inbound_message_belongs_to_the_owner_of_its_address_and_is_stored_once() {
    let service = with_sender().await;
    let sent = service.send().await;
    let (url, body) = (service.url(INBOUND), inbound(OURS, "Thank you!"));
    for _ in 0..2 {
        let (status, _) = post(&url, &[signed(&url, &body)], &body).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }
    assert_eq!(service.bodies(&sent).await, ["hello", "Thank you!"]);
}

#[tokio::test]
async fn a_request_that_cannot_be_handled_is_refused() {
    let service = with_sender().await;
    let known = inbound(OURS, "hi");
    let unknown = inbound("+12125559999", "hi");
    let large = inbound(OURS, &"x".repeat(1_024));
    for (path, body, expected) in [
        (INBOUND, unknown.as_str(), StatusCode::NOT_FOUND),
        (INBOUND, large.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        (INBOUND, "{}", StatusCode::BAD_REQUEST),
        (
            "/webhooks/example/other",
            known.as_str(),
            StatusCode::NOT_FOUND,
        ),
        (
            "/webhooks/unknown/inbound",
            known.as_str(),
            StatusCode::NOT_FOUND,
        ),
    ] {
        let url = service.url(path);
        let (status, answer) = post(&url, &[signed(&url, body)], body).await;
        assert_eq!(status, expected, "{path}: {answer:?}");
    }
    // Signed for another URL.
    let url = service.url(INBOUND);
    let headers = [signed(&service.url("/webhooks/example/status"), &known)];
    assert_eq!(post(&url, &headers, &known).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_path_without_a_webhook_is_not_found() {
    let service = Service::start(&[]).await;
    for path in [
        "/webhooks/",
        "/webhooks/simulator",
        "/webhooks/simulator/",
        "/webhooks/simulator/other",
        "/webhooks/unknown/inbound",
    ] {
        let (status, body) = post(&service.url(path), &[json_type()], "{}").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(body, "no provider has this webhook\n", "{path}");
    }
}

/// The simulator carries only its own senders: it cannot be used to forge messages of others.
#[tokio::test]
async fn a_provider_delivers_only_to_its_own_senders() {
    let service = with_sender().await;
    let url = service.url("/webhooks/simulator/inbound");
    let (status, _) = post(&url, &[json_type()], &inbound(OURS, "hi")).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_simulated_network_reports_and_delivers_by_webhooks() {
    let service = Service::start(&[]).await;
    let sent = service.send().await;
    service.until(&sent, "MESSAGE_STATUS_DELIVERED").await;
    let id = sent["id"].as_str().unwrap();
    let url = service.url(&format!("/webhooks/simulator/status?attempt={id}.1"));
    let (status, _) = post(&url, &[json_type()], r#"{"status":"read"}"#).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    service.until(&sent, "MESSAGE_STATUS_READ").await;

    let url = service.url("/webhooks/simulator/inbound");
    let (status, _) = post(&url, &[json_type()], &inbound(OURS, "Thank you!")).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(service.bodies(&sent).await, ["hello", "Thank you!"]);
}

#[tokio::test]
async fn a_web_page_of_another_origin_is_refused() {
    let service = Service::start(&[]).await;
    let sent = service.send().await;
    let url = service.url("/webhooks/simulator/inbound");
    let origin = |origin: &str| ("origin", origin.to_owned());
    let headers = [json_type(), origin("https://evil.example")];
    let (status, _) = post(&url, &headers, &inbound(OURS, "forged")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let headers = [json_type(), origin("http://localhost:8080")];
    let (status, _) = post(&url, &headers, &inbound(OURS, "hi")).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(service.bodies(&sent).await, ["hello", "hi"]);
}
