//! Tests that every unary method is served as JSON with the same meaning.

use http::Method;
use prost::Message as _;
use serde_json::{Value, json};

use super::{JSON, TestServer, ask};

/// Path `/<package>.<Service>/<Method>` of every method, and whether it streams.
fn methods() -> Vec<(String, bool)> {
    let set = prost_types::FileDescriptorSet::decode(parlance_proto::FILE_DESCRIPTOR_SET).unwrap();
    let mut methods = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                methods.push((path, method.client_streaming() || method.server_streaming()));
            }
        }
    }
    methods
}

#[tokio::test]
async fn every_unary_method_of_the_contract_is_reached() {
    let server = TestServer::open().await;
    for (path, streams) in methods() {
        let response = ask(server.http, Method::POST, &path, &[JSON], "{}").await;
        if streams {
            response.assert_fault(501, "UNIMPLEMENTED", "STREAMING_METHOD");
            let text = response.json["message"].as_str().unwrap();
            assert!(
                text.contains("grpcurl") && text.contains(&path[1..]),
                "{text}"
            );
        } else if response.code != 200 {
            assert!(
                response.code != 501 && response.code != 500,
                "{path}: {response:?}"
            );
            assert!(
                response.reason() != "UNKNOWN_METHOD",
                "{path}: {response:?}"
            );
        }
    }
    let health = ask(
        server.http,
        Method::POST,
        "/grpc.health.v1.Health/Check",
        &[],
        "",
    )
    .await;
    assert_eq!(health.json, json!({"status": "SERVING"}));
}

fn sms(body: &str) -> Value {
    json!({"channel": "CHANNEL_SMS", "fromAddress": "+14155550100", "toAddress": "+14155550123", "body": body})
}

#[tokio::test]
async fn a_message_is_sent_and_read_by_json_alone() {
    let server = TestServer::open().await;
    let sent = server
        .call("MessageService/SendMessage", &sms("Hello"))
        .await;
    assert_eq!(sent.code, 200, "{sent:?}");
    assert_eq!(sent.headers["cache-control"], "no-store");
    assert_eq!(sent.headers["x-content-type-options"], "nosniff");
    let message = &sent.json;
    assert_eq!(message["channel"], "CHANNEL_SMS");
    // 64-bit numbers are strings. Unset fields are shown with their default, except those with presence.
    assert_eq!(message["sequence"], "1");
    assert_eq!(message["subject"], "");
    assert_eq!(message["attachments"], json!([]));
    assert!(message.get("tokensUsed").is_none() && message.get("readAt").is_none());
    assert!(message["createdAt"].as_str().unwrap().ends_with('Z'));

    // Field names of the proto files are accepted as well, and so are the numbers of enum values.
    let list = json!({"conversation_id": message["conversationId"], "page_size": "5"});
    let listed = server.call("MessageService/ListMessages", &list).await;
    assert_eq!(
        listed.json["messages"][0]["id"], message["id"],
        "{listed:?}"
    );
    assert_eq!(listed.json["nextPageToken"], "");
    let all = server
        .call(
            "ConversationService/ListConversations",
            &json!({"channel": 1}),
        )
        .await;
    assert_eq!(all.json["conversations"][0]["unreadCount"], "0", "{all:?}");
    let read = server
        .call("MessageService/GetMessage", &json!({"id": message["id"]}))
        .await;
    assert_eq!(read.json["body"], "Hello");
}

#[tokio::test]
async fn attachments_are_base64_and_metadata_is_an_object() {
    let server = TestServer::open().await;
    let body = json!({
        "channel": "CHANNEL_CHAT", "externalId": "c1", "body": "a file",
        "attachments": [{"filename": "a.bin", "contentType": "a/b", "content": "AAEC/w=="}],
        "metadata": {"order": 17, "tags": ["a", null, true]},
    });
    let sent = server.call("MessageService/SendMessage", &body).await;
    assert_eq!(sent.json["attachments"][0]["sizeBytes"], "4", "{sent:?}");
    assert_eq!(
        sent.json["metadata"],
        json!({"order": 17.0, "tags": ["a", null, true]})
    );
}

#[tokio::test]
async fn an_empty_body_is_an_empty_message() {
    let server = TestServer::open().await;
    for body in ["", "  \n", "{}"] {
        let path = "/parlance.v1.ConversationService/ListConversations";
        let response = ask(server.http, Method::POST, path, &[], body).await;
        assert_eq!(
            (response.code.as_u16(), &response.json["conversations"]),
            (200, &json!([]))
        );
    }
}

#[tokio::test]
async fn a_replay_is_marked_in_a_header() {
    let server = TestServer::open().await;
    let mut body = sms("once");
    body["requestId"] = "r1".into();
    let first = server.call("MessageService/SendMessage", &body).await;
    assert!(!first.headers.contains_key("idempotent-replayed"));
    let second = server.call("MessageService/SendMessage", &body).await;
    assert_eq!(second.headers["idempotent-replayed"], "true");
    assert_eq!(
        second.headers.get_all("idempotent-replayed").iter().count(),
        1
    );
    assert_eq!(first.json["id"], second.json["id"]);
    assert!(
        second
            .headers
            .keys()
            .all(|name| !name.as_str().starts_with("grpc-"))
    );
}

#[tokio::test]
async fn the_owner_is_a_header() {
    let server = TestServer::open().await;
    let sent = server
        .call("MessageService/SendMessage", &sms("mine"))
        .await;
    let id = json!({"id": sent.json["id"]});
    let other = [JSON, ("x-parlance-owner", "acme")];
    let response = server
        .call_with("MessageService/GetMessage", &other, &id)
        .await;
    response.assert_fault(404, "NOT_FOUND", "MESSAGE_NOT_FOUND");
    let same = [JSON, ("x-parlance-owner", "default")];
    let response = server
        .call_with("MessageService/GetMessage", &same, &id)
        .await;
    assert_eq!(response.json["id"], sent.json["id"]);
}
