//! Twilio's client and webhooks against the simulated network of `parlance simulate`.

use http::StatusCode;
use parlance_server::simulate::{self, Clock, Configuration, Running};
use parlance_testkit::eventually;
use serde_json::{Value, json};

use super::{ACCOUNT_SID, CREATE, TOKEN, sender};
use crate::service::{OURS, SOON, Service, THEIRS, post};

/// Starts a simulated network.
fn network(inbound_url: String) -> Running {
    let configuration = Configuration {
        listen: "127.0.0.1:0".parse().unwrap(),
        inbound_url,
        account: ACCOUNT_SID.to_owned(),
        token: TOKEN.to_owned(),
        script: None,
        seed: Some(1),
        clock: Clock::System,
    };
    simulate::start(configuration).unwrap()
}

/// A service with a sender whose messages go to the network.
async fn start(network: &Running) -> Service {
    let url = format!("http://{}", network.address);
    let settings = [
        ("TWILIO_ACCOUNT_SID", ACCOUNT_SID),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_BASE_URL", url.as_str()),
    ];
    let service = Service::start_with(&settings, &[]).await;
    service.ok(CREATE, &sender(&json!({}))).await;
    service
}

/// Calls a method of the network's `SimulatorService`.
async fn call(network: &Running, method: &str, request: &Value) -> Value {
    let address = network.address;
    let url = format!("http://{address}/parlance.v1.SimulatorService/{method}");
    let headers = [("content-type", "application/json".to_owned())];
    let (status, body) = post(&url, &headers, &request.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{method} {request}: {body:?}");
    serde_json::from_slice(&body).unwrap()
}

/// The ids of the messages that the network has accepted.
async fn accepted(network: &Running) -> Vec<Value> {
    let sent = call(network, "ListSent", &json!({})).await;
    let messages = sent["messages"].as_array().unwrap().iter();
    messages
        .map(|message| message["providerMessageId"].clone())
        .collect()
}

/// Lets the network accept the next message without an answer, and adds further faults.
async fn lose_the_answer(network: &Running, further: &[&str]) {
    let lost = json!({ "kind": "FAULT_KIND_ACCEPT_THEN_TIMEOUT", "count": 1, "delay": "0.1s" });
    let further = further.iter().map(|kind| json!({ "kind": kind }));
    let faults: Vec<Value> = std::iter::once(lost).chain(further).collect();
    call(network, "SetScript", &json!({ "faults": faults })).await;
}

#[tokio::test]
async fn the_webhooks_of_the_network_are_the_receipt() {
    let network = network(String::new());
    let service = start(&network).await;
    let sent = service.send().await;
    let message = service.until(&sent, "MESSAGE_STATUS_DELIVERED").await;
    let id = message["providerMessageId"].clone();
    assert_eq!(accepted(&network).await, [id]);
}

#[tokio::test]
async fn a_lost_answer_of_the_network_is_resolved_by_its_webhook() {
    let network = network(String::new());
    lose_the_answer(&network, &[]).await;
    let service = start(&network).await;
    let sent = service.send().await;
    let message = service.until(&sent, "MESSAGE_STATUS_DELIVERED").await;
    let id = message["providerMessageId"].clone();
    assert_eq!(accepted(&network).await, [id]);
}

#[tokio::test]
async fn a_lost_answer_of_the_network_is_resolved_by_its_list() {
    let network = network(String::new());
    lose_the_answer(&network, &["FAULT_KIND_DROP"]).await;
    let service = start(&network).await;
    let sent = service.send().await;
    let message = service.until(&sent, "MESSAGE_STATUS_SENT").await;
    let id = message["providerMessageId"].clone();
    assert_eq!(accepted(&network).await, [id], "it was not sent twice");
}

/// The URL of the service is known only after the network of its messages has started, so the customers have their own.
#[tokio::test]
async fn a_message_of_a_customer_is_an_inbound_message() {
    let network_of_service = network(String::new());
    let service = start(&network_of_service).await;
    let sent = service.send().await;
    let customers = network(service.url("/webhooks/twilio/inbound"));
    let reply = json!({ "toAddress": THEIRS, "fromAddress": OURS, "body": "Thank you!" });
    call(&customers, "ReplyAs", &reply).await;
    let bodies = eventually(SOON, async || {
        let bodies = service.bodies(&sent).await;
        (bodies.len() > 1).then_some(bodies)
    });
    assert_eq!(bodies.await, ["hello", "Thank you!"]);
}
