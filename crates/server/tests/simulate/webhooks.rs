//! Webhooks: their form, their signature, repetition and replay.

use parlance_testkit::eventually;
use serde_json::json;

use crate::application::Application;
use crate::harness::{ACCOUNT, OURS, SOON, Simulator, THEIRS, start};

/// Waits until the webhook at a position has this state, and returns the number of its attempts.
async fn attempts_in(simulator: &Simulator, position: usize, state: &str) -> i64 {
    let state = format!("WEBHOOK_STATE_{state}");
    let webhook = eventually(SOON, async || {
        let webhook = simulator.webhooks().await.into_iter().nth(position)?;
        (webhook["state"] == state).then_some(webhook)
    })
    .await;
    webhook["attempts"].as_i64().unwrap()
}

#[tokio::test]
async fn statuses_are_reported_in_order_in_the_form_of_the_provider() {
    let (simulator, application) = (start(), Application::start().await);
    let callback = application.url("/status?message=1&attempt=2");
    let sid = simulator.create(&callback).await.body["sid"].clone();
    simulator.advance(1).await;
    assert_eq!(application.statuses(2).await, ["sent", "delivered"]);
    let received = application.received();
    let delivered = &received[1];
    assert_eq!(delivered.path, "/status?message=1&attempt=2");
    let form: Vec<_> = delivered
        .form
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let sid = sid.as_str().unwrap();
    let expected = [
        ("SmsSid", sid),
        ("SmsStatus", "delivered"),
        ("MessageStatus", "delivered"),
        ("To", THEIRS),
        ("MessageSid", sid),
        ("AccountSid", ACCOUNT),
        ("From", OURS),
        ("ApiVersion", "2010-04-01"),
    ];
    assert_eq!(form, expected);
    let kind = delivered.header("content-type");
    assert_eq!(kind, "application/x-www-form-urlencoded; charset=UTF-8");
    let tokens: Vec<_> = received
        .iter()
        .map(|webhook| webhook.header("i-twilio-idempotency-token"))
        .collect();
    assert_ne!(tokens[0], tokens[1]);
}

#[tokio::test]
async fn an_undelivered_message_has_an_error_code() {
    let (simulator, application) = (start(), Application::start().await);
    let callback = application.url("/status");
    let form = [
        ("To", "+15005550101"),
        ("From", OURS),
        ("Body", "hi"),
        ("StatusCallback", callback.as_str()),
    ];
    simulator
        .call(http::Method::POST, &crate::harness::messages(), &form)
        .await;
    simulator.advance(1).await;
    assert_eq!(application.statuses(2).await, ["sent", "undelivered"]);
    assert_eq!(application.received()[1].field("ErrorCode"), "30003");
}

#[tokio::test]
async fn a_failed_webhook_is_repeated_as_its_fragment_says() {
    let (simulator, application) = (start(), Application::start().await);
    application.answer_next(503, "text/plain", "");
    let callback = application.url("/status#rc=1&rp=5xx");
    simulator.create(&callback).await;
    simulator.advance(1).await;
    assert_eq!(application.statuses(3).await, ["sent", "sent", "delivered"]);
    let received = application.received();
    assert_eq!(received[0].path, "/status", "the fragment is not sent");
    let token = |position: usize| received[position].header("i-twilio-idempotency-token");
    assert_eq!(token(0), token(1), "a repetition is the same webhook");
    assert_eq!(attempts_in(&simulator, 0, "DELIVERED").await, 2);
}

#[tokio::test]
async fn a_webhook_that_is_refused_fails_and_the_next_one_is_sent() {
    let (simulator, application) = (start(), Application::start().await);
    application.answer_next(403, "text/plain", "");
    simulator.create(&application.url("/status")).await;
    simulator.advance(1).await;
    assert_eq!(application.statuses(2).await, ["sent", "delivered"]);
    assert_eq!(attempts_in(&simulator, 0, "FAILED").await, 1);
    assert_eq!(simulator.webhooks().await[0]["result"], "HTTP 403");
}

#[tokio::test]
async fn an_application_that_is_away_is_called_twice() {
    let simulator = start();
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = away.local_addr().unwrap();
    drop(away);
    simulator.create(&format!("http://{address}/status")).await;
    simulator.advance(1).await;
    assert_eq!(attempts_in(&simulator, 1, "FAILED").await, 2);
    simulator.create("https://127.0.0.1/status").await;
    simulator.advance(1).await;
    assert_eq!(attempts_in(&simulator, 2, "FAILED").await, 1);
    let result = simulator.webhooks().await[2]["result"].clone();
    assert!(result.as_str().unwrap().contains("only http URLs"));
}

#[tokio::test]
async fn a_dropped_webhook_is_listed_and_can_be_replayed() {
    let (simulator, application) = (start(), Application::start().await);
    simulator
        .script(&json!([{ "kind": "FAULT_KIND_DROP", "count": 1 }]))
        .await;
    simulator.create(&application.url("/status")).await;
    simulator.advance(1).await;
    assert_eq!(application.statuses(1).await, ["delivered"]);
    let dropped = &simulator.webhooks().await[0];
    assert_eq!(dropped["state"], "WEBHOOK_STATE_DROPPED");
    let status = json!({ "name": "MessageStatus", "value": "sent" });
    assert!(dropped["parameters"].as_array().unwrap().contains(&status));
    let replay = json!({ "id": dropped["id"] });
    for count in 2..4 {
        simulator.ok("ReplayWebhook", &replay).await;
        application.wait_for(count).await;
    }
    assert_eq!(application.statuses(3).await, ["delivered", "sent", "sent"]);
    let received = application.received();
    let token = |position: usize| received[position].header("i-twilio-idempotency-token");
    assert_eq!(token(1), token(2));
    assert_eq!(attempts_in(&simulator, 0, "DELIVERED").await, 2);
    let unknown = simulator.rpc("ReplayWebhook", &json!({ "id": "99" })).await;
    assert_eq!(unknown.status, 404);
}
