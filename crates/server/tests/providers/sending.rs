//! Senders of the provider, and messages through it.

use serde_json::{Value, json};

use crate::EXAMPLE;
use crate::example::{CREDENTIALS, NAME};
use crate::service::{OURS, Service, THEIRS};

const CREATE: &str = "SenderService/CreateSender";

fn sender(change: impl FnOnce(&mut Value)) -> Value {
    let mut sender = json!({
        "channel": "CHANNEL_SMS", "address": OURS, "provider": NAME, "credentials": CREDENTIALS,
    });
    change(&mut sender);
    json!({ "sender": sender })
}

#[tokio::test]
async fn a_message_is_sent_through_the_provider_and_reported_by_its_webhook() {
    let service = Service::start(&[EXAMPLE]).await;
    service.ok(CREATE, &sender(|_| ())).await;
    let sent = service.send().await;
    let message = service.until(&sent, "MESSAGE_STATUS_DELIVERED").await;
    let id = sent["id"].as_str().unwrap();
    // The provider saw the credentials of the sender and the id of the attempt.
    let expected = format!("{CREDENTIALS}-{id}.1");
    assert_eq!(message["provider"], NAME);
    assert_eq!(message["providerMessageId"], expected);
    assert!(message["deliveredAt"].is_string(), "{message}");
}

#[tokio::test]
async fn senders_name_what_is_configured() {
    let service = Service::start(&[EXAMPLE]).await;
    assert_eq!(service.running.real_providers, [NAME]);
    for (request, reason) in [
        (
            sender(|it| it["provider"] = "unknown".into()),
            "NO_PROVIDER",
        ),
        (
            sender(|it| {
                it["channel"] = "CHANNEL_EMAIL".into();
                it["address"] = "us@example.com".into();
            }),
            "NO_PROVIDER",
        ),
        (
            sender(|it| it["credentials"] = "none".into()),
            "NO_CREDENTIALS",
        ),
    ] {
        assert_eq!(service.refused(CREATE, &request).await, reason, "{request}");
    }
    // The first provider that carries the channel is the default.
    for (channel, address, provider) in [
        ("CHANNEL_SMS", OURS, NAME),
        ("CHANNEL_EMAIL", "us@example.com", "simulator"),
    ] {
        let request = json!({ "sender": { "channel": channel, "address": address } });
        let created = service.ok(CREATE, &request).await;
        assert_eq!(created["provider"], provider);
    }
}

/// A message must not leave the machine from an address that was never configured.
#[tokio::test]
async fn with_a_real_provider_no_sender_is_created_by_first_use() {
    let service = Service::start(&[EXAMPLE]).await;
    let request = json!({
        "channel": "CHANNEL_SMS", "fromAddress": OURS, "toAddress": THEIRS, "body": "hello",
    });
    let reason = service
        .refused("MessageService/SendMessage", &request)
        .await;
    assert_eq!(reason, "NO_SENDER");
}
