//! Messages of customers, and what the application replies.

use http::Method;
use parlance_testkit::eventually;
use serde_json::{Value, json};

use crate::application::Application;
use crate::harness::{
    ACCOUNT, OURS, SOON, Simulator, THEIRS, configuration, messages, start, start_with,
};

fn simulator_of(application: &Application) -> Simulator {
    let mut configuration = configuration();
    configuration.inbound_url = application.url("/webhooks/twilio/inbound");
    start_with(configuration)
}

fn reply_as(body: &str) -> Value {
    json!({ "toAddress": THEIRS, "fromAddress": OURS, "body": body })
}

/// Messages of the application to the customer, newest first, once there are this many.
async fn replies(simulator: &Simulator, count: usize) -> Vec<Value> {
    let path = format!("{}?To=%2B15552223333", messages());
    eventually(SOON, async || {
        let listed = simulator.call(Method::GET, &path, &[]).await.body;
        let listed = listed["messages"].as_array()?.clone();
        (listed.len() == count).then_some(listed)
    })
    .await
}

#[tokio::test]
async fn a_customers_message_is_posted_in_the_form_of_the_provider() {
    let application = Application::start().await;
    let simulator = simulator_of(&application);
    let message = simulator
        .ok("ReplyAs", &reply_as("Thank you! \u{20ac}"))
        .await;
    assert_eq!(message["direction"], "DIRECTION_INBOUND");
    let sid = message["providerMessageId"].as_str().unwrap();
    let received = application.wait_for(1).await;
    let webhook = &received[0];
    assert_eq!(webhook.path, "/webhooks/twilio/inbound");
    for (name, expected) in [
        ("MessageSid", sid),
        ("SmsSid", sid),
        ("SmsMessageSid", sid),
        ("AccountSid", ACCOUNT),
        ("From", THEIRS),
        ("To", OURS),
        ("Body", "Thank you! \u{20ac}"),
        ("SmsStatus", "received"),
        ("NumMedia", "0"),
        ("NumSegments", "1"),
        ("FromCountry", "US"),
        ("ApiVersion", "2010-04-01"),
        ("MessageStatus", ""),
    ] {
        assert_eq!(webhook.field(name), expected, "{name}");
    }
}

#[tokio::test]
async fn a_file_of_a_customer_is_fetched_from_the_simulator() {
    let application = Application::start().await;
    let simulator = simulator_of(&application);
    let file = json!({ "contentType": "text/plain", "content": "InBuZyI=" });
    let request = json!({
        "toAddress": THEIRS, "fromAddress": OURS, "attachments": [file],
    });
    simulator.ok("ReplyAs", &request).await;
    let received = application.wait_for(1).await;
    assert_eq!(received[0].field("NumMedia"), "1");
    assert_eq!(received[0].field("MediaContentType0"), "text/plain");
    let url = received[0].field("MediaUrl0");
    let origin = format!("http://{}", simulator.address);
    let path = url.strip_prefix(&origin).unwrap();
    let content = simulator.call(Method::GET, path, &[]).await;
    assert_eq!(content.headers["content-type"], "text/plain");
    // The content is JSON, so that the client of this test shows it.
    assert_eq!((content.status, content.body), (200, json!("png")));
    let upload =
        json!({ "contentType": "a/b", "uploadId": "01932b1c-0000-7000-8000-000000000001" });
    let refused = json!({
        "toAddress": THEIRS, "fromAddress": OURS, "attachments": [upload],
    });
    assert_eq!(simulator.rpc("ReplyAs", &refused).await.status, 400);
}

#[tokio::test]
async fn the_application_replies_in_its_response() {
    let application = Application::start().await;
    let simulator = simulator_of(&application);
    let document =
        "<?xml version=\"1.0\"?><Response><Message>You are welcome.</Message></Response>";
    application.answer_next(200, "text/xml", document);
    simulator.ok("ReplyAs", &reply_as("Thank you!")).await;
    let replies = replies(&simulator, 1).await;
    assert_eq!(replies[0]["direction"], "outbound-reply");
    assert_eq!(replies[0]["body"], "You are welcome.");
    assert_eq!(replies[0]["from"], OURS);
}

#[tokio::test]
async fn a_customer_who_opts_out_gets_no_further_message() {
    let application = Application::start().await;
    let simulator = simulator_of(&application);
    simulator.ok("ReplyAs", &reply_as("STOP")).await;
    application.wait_for(1).await;
    let refused = simulator.create("").await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (400, &json!(21610))
    );
    assert_eq!(
        replies(&simulator, 1).await[0]["direction"],
        "outbound-reply"
    );
    simulator.ok("ReplyAs", &reply_as("START")).await;
    assert_eq!(simulator.create("").await.status, 201);
}

#[tokio::test]
async fn without_an_inbound_url_the_remedy_is_named() {
    let simulator = start();
    let refused = simulator.rpc("ReplyAs", &reply_as("hi")).await;
    assert_eq!(refused.body["status"], "FAILED_PRECONDITION");
    let message = refused.body["message"].as_str().unwrap();
    assert!(message.contains("--inbound-url"), "{message}");
}
