//! Tests of errors as JSON.

use http::Method;
use serde_json::json;

use super::{JSON, StubServer, TestServer, ask};
use crate::harness::GET;

const SEND: &str = "MessageService/SendMessage";
const SEND_PATH: &str = "/parlance.v1.MessageService/SendMessage";

#[tokio::test]
async fn a_refusal_is_a_status_with_its_details() {
    let server = TestServer::open().await;
    let response = server.call(SEND, &json!({"channel": "CHANNEL_SMS"})).await;
    response.assert_fault(400, "INVALID_ARGUMENT", "INVALID_REQUEST");
    assert_eq!(response.json["code"], 3);
    assert_eq!(response.detail("ErrorInfo")["domain"], "parlance");
    let violations = response.detail("BadRequest")["fieldViolations"]
        .as_array()
        .unwrap();
    assert!(
        violations.iter().any(|it| it["field"] == "to_address"),
        "{response:?}"
    );
}

#[tokio::test]
async fn an_invalid_field_is_named_with_its_path() {
    let server = TestServer::open().await;
    for (body, field) in [
        (json!({"colour": "red"}), "colour"),
        (
            json!({"attachments": [{"filename": "a", "colour": "red"}]}),
            "attachments[0].colour",
        ),
        (json!({"channel": "CHANNEL_PIGEON"}), "channel"),
        (json!({"body": 5}), "body"),
        (json!({"tokensUsed": "many"}), "tokensUsed"),
        (json!({"sendAt": "tomorrow"}), "sendAt"),
        (
            json!({"attachments": [{"content": "%"}]}),
            "attachments[0].content",
        ),
    ] {
        let response = server.call(SEND, &body).await;
        response.assert_fault(400, "INVALID_ARGUMENT", "INVALID_REQUEST");
        let violations = &response.detail("BadRequest")["fieldViolations"];
        assert_eq!(violations[0]["field"], field, "{response:?}");
        assert!(
            response.json["message"]
                .as_str()
                .unwrap()
                .starts_with(field),
            "{response:?}"
        );
    }
}

#[tokio::test]
async fn an_invalid_field_is_explained() {
    let server = TestServer::open().await;
    let time = "not a time; write it as 2026-01-31T09:00:00Z";
    for (body, expected) in [
        (json!({"sendAt": "tomorrow"}), format!("sendAt: {time}")),
        (json!({"expires_at": 5}), format!("expires_at: {time}")),
        (
            json!({"channel": "sms"}),
            "channel: unknown value; use one of CHANNEL_SMS, CHANNEL_MMS, CHANNEL_EMAIL, CHANNEL_CHAT".to_owned(),
        ),
        (
            json!({"from_adress": "+1"}),
            "from_adress: no such field; did you mean fromAddress?".to_owned(),
        ),
        (
            json!({"attachments": [{"fileName": "a"}]}),
            "attachments[0].fileName: no such field; did you mean filename?".to_owned(),
        ),
        (json!({"colour": "red"}), "colour: no such field".to_owned()),
        (
            json!({"body": 5}),
            "body: invalid type: integer `5`, expected a string".to_owned(),
        ),
        (
            json!({"attachments": "a"}),
            "attachments: invalid type: string \"a\", expected a list".to_owned(),
        ),
    ] {
        let response = server.call(SEND, &body).await;
        assert_eq!(response.json["message"], expected, "{response:?}");
        let violation = &response.detail("BadRequest")["fieldViolations"][0];
        let text = format!(
            "{}: {}",
            violation["field"].as_str().unwrap(),
            violation["description"].as_str().unwrap()
        );
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn invalid_json_is_refused_with_its_position() {
    let server = TestServer::open().await;
    for (body, position) in [
        ("{\n  \"body\": \"a\",\n  body}", "line 3 column 3"),
        ("{\"body\": \"a\"", "line 1 column 12"),
        ("{} {}", "line 1 column 4"),
        ("[]", "line 1 column"),
        ("\"text\"", "line 1 column"),
    ] {
        let response = ask(server.http, Method::POST, SEND_PATH, &[JSON], body).await;
        response.assert_fault(400, "INVALID_ARGUMENT", "MALFORMED_REQUEST");
        let text = response.json["message"].as_str().unwrap();
        assert!(text.contains(position), "{body}: {text}");
    }
}

#[tokio::test]
async fn deep_or_numerous_values_are_refused() {
    let server = TestServer::open().await;
    let deep = format!(
        r#"{{"metadata": {{"a": {}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let nested = format!(
        r#"{{"metadata": {{"a": {}1{}}}}}"#,
        "[".repeat(120),
        "]".repeat(120)
    );
    let many = format!(r#"{{"metadata": {{"a": [0{}]}}}}"#, ",0".repeat(1_000_000));
    for body in [deep, nested, many] {
        let response = ask(server.http, Method::POST, SEND_PATH, &[JSON], body).await;
        assert_eq!(
            (response.code.as_u16(), &response.json["code"]),
            (400, &json!(3)),
            "{response:?}"
        );
    }
}

#[tokio::test]
async fn an_unknown_method_is_named() {
    let server = TestServer::open().await;
    for path in ["/parlance.v1.MessageService/Nothing", "/made.Up/Name"] {
        let response = ask(server.http, Method::POST, path, &[JSON], "{}").await;
        response.assert_fault(404, "UNIMPLEMENTED", "UNKNOWN_METHOD");
        assert!(response.json["message"].as_str().unwrap().contains(path));
    }
}

#[tokio::test]
async fn other_http_methods_than_post_are_refused() {
    let server = TestServer::open().await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let response = ask(server.http, method, SEND_PATH, &[], "").await;
        response.assert_fault(405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED");
        assert_eq!(response.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn other_content_types_than_json_are_refused() {
    let server = TestServer::open().await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "",
    ] {
        let headers = [("content-type", kind)];
        let response = ask(server.http, Method::POST, SEND_PATH, &headers, "{}").await;
        response.assert_fault(415, "INVALID_ARGUMENT", "UNSUPPORTED_MEDIA_TYPE");
        assert!(
            response.json["message"]
                .as_str()
                .unwrap()
                .contains("--json")
        );
    }
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        let headers = [("content-type", kind)];
        let path = "/parlance.v1.ConversationService/ListConversations";
        let response = ask(server.http, Method::POST, path, &headers, "{}").await;
        assert_eq!(response.code, 200, "{kind}");
    }
}

#[tokio::test]
async fn a_deadline_is_the_grpc_timeout_header() {
    let server = StubServer::start();
    let response = server.get(&[("grpc-timeout", "100m")], "wait").await;
    response.assert_fault(504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED");
    let response = server.get(&[("grpc-timeout", "5s")], "a").await;
    response.assert_fault(400, "INVALID_ARGUMENT", "MALFORMED_REQUEST");
}

#[tokio::test]
async fn a_panic_and_a_too_large_reply_are_errors() {
    let server = StubServer::start();
    let response = server.get(&[], "panic").await;
    response.assert_fault(500, "INTERNAL", "INTERNAL");
    let response = server.get(&[], "large").await;
    response.assert_fault(413, "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE");
    let response = server.get(&[], "a").await;
    assert_eq!(response.json["id"], "a");
}

#[tokio::test]
async fn every_call_is_counted_with_its_code() {
    let server = StubServer::start();
    server.get(&[], "a").await;
    server.get(&[("content-type", "text/plain")], "a").await;
    ask(server.http, Method::POST, "/made.Up/Name", &[], "").await;
    let count = |code: &str, method: &str, service: &str| {
        format!(
            r#"grpc_server_handled_total{{grpc_code="{code}",grpc_method="{method}",grpc_service="{service}"}} 1"#
        )
    };
    let service = "parlance.v1.SenderService";
    server
        .grpc
        .until_counted(&count("OK", "GetSender", service))
        .await;
    server
        .grpc
        .until_counted(&count("InvalidArgument", "GetSender", service))
        .await;
    server
        .grpc
        .until_counted(&count("Unimplemented", "other", "other"))
        .await;
    assert!(GET.contains(service));
}
