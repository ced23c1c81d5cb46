//! Faults of the script, as an application sees them.

use std::pin::pin;

use futures_util::FutureExt as _;
use parlance_testkit::eventually;
use serde_json::{Value, json};

use crate::application::Application;
use crate::harness::{SOON, Simulator, configuration, start, start_with};

async fn sent(simulator: &Simulator) -> usize {
    let sent = simulator.ok("ListSent", &json!({})).await;
    sent["messages"].as_array().unwrap().len()
}

fn once(kind: &str) -> Value {
    json!({ "kind": format!("FAULT_KIND_{kind}"), "count": 1 })
}

#[tokio::test]
async fn a_hand_over_is_refused_for_now_fails_or_is_refused_for_good() {
    let simulator = start();
    let too_many = json!({ "kind": "FAULT_KIND_TOO_MANY_REQUESTS", "count": 1, "delay": "2.5s" });
    let faults = json!([too_many, once("SERVER_ERROR"), once("OPTED_OUT")]);
    simulator.script(&faults).await;
    let throttled = simulator.create("").await;
    assert_eq!(
        (throttled.status, &throttled.body["code"]),
        (429, &json!(20429))
    );
    assert_eq!(throttled.headers["retry-after"], "3");
    assert!(throttled.headers.contains_key("twilio-concurrent-requests"));
    assert_eq!(simulator.create("").await.status, 500);
    let refused = simulator.create("").await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (400, &json!(21610))
    );
    assert_eq!(sent(&simulator).await, 0);
    assert_eq!(simulator.create("").await.status, 201);
}

#[tokio::test]
async fn the_response_to_an_accepted_message_is_missing_until_its_time() {
    let simulator = start();
    simulator
        .script(&json!([once("ACCEPT_THEN_TIMEOUT")]))
        .await;
    let mut creating = pin!(simulator.create(""));
    eventually(SOON, async || {
        assert!(creating.as_mut().now_or_never().is_none());
        (sent(&simulator).await == 1).then_some(())
    })
    .await;
    assert!(creating.as_mut().now_or_never().is_none());
    let reply = eventually(SOON, async || {
        simulator.advance(60).await;
        creating.as_mut().now_or_never()
    })
    .await;
    assert_eq!(reply.status, 504);
    assert_eq!(sent(&simulator).await, 1);
}

#[tokio::test]
async fn a_request_hangs_until_its_time_and_nothing_is_accepted() {
    let simulator = start();
    simulator.script(&json!([once("HANG")])).await;
    let mut creating = pin!(simulator.create(""));
    let reply = eventually(SOON, async || {
        if let Some(reply) = creating.as_mut().now_or_never() {
            return Some(reply);
        }
        simulator.advance(60).await;
        None
    })
    .await;
    assert_eq!(reply.status, 504);
    assert_eq!(sent(&simulator).await, 0);
}

#[tokio::test]
async fn a_webhook_is_duplicated_reordered_and_delayed() {
    for (fault, expected) in [
        (once("DUPLICATE"), &["sent", "sent", "delivered"][..]),
        (once("REORDER"), &["delivered", "sent"][..]),
        (
            json!({ "kind": "FAULT_KIND_DELAY", "count": 1, "delay": "30s" }),
            &["delivered", "sent"][..],
        ),
    ] {
        let (simulator, application) = (start(), Application::start().await);
        simulator.script(&json!([fault])).await;
        simulator.create(&application.url("/status")).await;
        simulator.advance(1).await;
        application.wait_for(1).await;
        simulator.advance(60).await;
        assert_eq!(application.statuses(expected.len()).await, expected);
        simulator.advance(60).await;
        assert_eq!(application.received().len(), expected.len(), "{fault}");
    }
}

#[tokio::test]
async fn a_fault_concerns_its_recipient_only() {
    let simulator = start();
    let fault = json!({ "kind": "FAULT_KIND_SERVER_ERROR", "recipient": "+15552224444" });
    simulator.script(&json!([fault])).await;
    assert_eq!(simulator.create("").await.status, 201);
}

#[tokio::test]
async fn an_invalid_script_names_its_field() {
    let simulator = start();
    let script = json!({ "faults": [{ "kind": "FAULT_KIND_DROP", "probability": 2 }] });
    let refused = simulator.rpc("SetScript", &script).await;
    assert_eq!(refused.status, 400);
    let message = refused.body["message"].as_str().unwrap();
    assert!(message.contains("faults[0].probability"), "{message}");
}

/// Ids, answers and webhooks of a run, in order.
async fn trace(seed: u64) -> Vec<String> {
    let script = json!({ "seed": seed, "faults": [
        { "kind": "FAULT_KIND_SERVER_ERROR", "probability": 0.3 },
        { "kind": "FAULT_KIND_DROP", "probability": 0.3 },
        { "kind": "FAULT_KIND_DUPLICATE", "probability": 0.3 },
        { "kind": "FAULT_KIND_REORDER", "probability": 0.3 },
    ] });
    let application = Application::start().await;
    let mut configuration = configuration();
    configuration.script = Some(script.to_string());
    let simulator = start_with(configuration);
    let mut trace = Vec::new();
    for _ in 0..20 {
        let created = simulator.create(&application.url("/status")).await;
        trace.push(format!("{} {}", created.status, created.body["sid"]));
        simulator.advance(20).await;
    }
    eventually(SOON, async || {
        let webhooks = simulator.webhooks().await;
        let is_done = |it: &Value| {
            let state = it["state"].as_str().unwrap();
            ["WEBHOOK_STATE_DELIVERED", "WEBHOOK_STATE_DROPPED"].contains(&state)
        };
        webhooks.iter().all(is_done).then_some(())
    })
    .await;
    for webhook in simulator.webhooks().await {
        let (sid, state) = (&webhook["providerMessageId"], &webhook["state"]);
        trace.push(format!("{sid} {state} {}", webhook["attempts"]));
    }
    trace
}

#[tokio::test]
async fn the_same_seed_gives_the_same_trace() {
    let first = trace(3).await;
    assert_eq!(first, trace(3).await);
    assert_ne!(first, trace(4).await);
}
