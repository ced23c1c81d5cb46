//! Twilio's API over a socket. Its shapes are tested in `parlance-providers`.

use http::Method;
use serde_json::json;

use crate::harness::{ACCOUNT, OURS, THEIRS, messages, start};

#[tokio::test]
async fn a_message_is_created_read_listed_and_delivered() {
    let simulator = start();
    let created = simulator.create("").await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.headers["content-type"], "application/json");
    assert_eq!(created.body["status"], "queued");
    let uri = created.body["uri"].as_str().unwrap();
    simulator.advance(1).await;
    let read = simulator.call(Method::GET, uri, &[]).await;
    assert_eq!(
        (read.status, &read.body["status"]),
        (200, &json!("delivered"))
    );
    let path = format!("{}?To=%2B15552223333&DateSent=2023-08-24", messages());
    let listed = simulator.call(Method::GET, &path, &[]).await;
    assert_eq!(listed.body["messages"], json!([read.body]));
    let account = format!("/2010-04-01/Accounts/{ACCOUNT}.json");
    assert_eq!(simulator.call(Method::GET, &account, &[]).await.status, 200);
}

#[tokio::test]
async fn errors_are_json_in_the_shape_of_the_api() {
    let simulator = start();
    let form = [("To", THEIRS), ("From", OURS)];
    let refused = simulator.call(Method::POST, &messages(), &form).await;
    let expected = json!({
        "code": 21602,
        "message": "Message body is required.",
        "more_info": "https://www.twilio.com/docs/errors/21602",
        "status": 400,
    });
    assert_eq!((refused.status, refused.body), (400, expected));
    let other = messages().replace(ACCOUNT, "AC2");
    let refused = simulator.call(Method::GET, &other, &[]).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (401, &json!(20003))
    );
    assert!(refused.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let simulator = start();
    let body = "x".repeat(300 * 1024);
    let refused = simulator
        .call(Method::POST, &messages(), &[("Body", &body)])
        .await;
    assert_eq!(refused.status, 413);
    assert_eq!(simulator.create("").await.status, 201);
}

#[tokio::test]
async fn what_was_sent_is_listed_for_the_recipient() {
    let simulator = start();
    let sid = simulator.create("").await.body["sid"].clone();
    let sent = simulator
        .ok("ListSent", &json!({ "toAddress": THEIRS }))
        .await;
    let sent = &sent["messages"][0];
    assert_eq!(sent["providerMessageId"], sid);
    assert_eq!(
        (&sent["messageId"], &sent["body"]),
        (&json!(""), &json!("hi"))
    );
    let other = json!({ "toAddress": "+15552224444" });
    assert_eq!(
        simulator.ok("ListSent", &other).await["messages"],
        json!([])
    );
}

#[tokio::test]
async fn other_methods_of_the_contract_are_not_served() {
    let simulator = start();
    let path = "/parlance.v1.MessageService/SendMessage";
    let reply = simulator.try_call(Method::POST, path, "application/json", "{}".to_owned());
    assert_eq!(reply.await.unwrap().status, 404);
    let health = simulator.call(Method::GET, "/healthz", &[]).await;
    assert_eq!(health.status, 200);
}
