//! What is wrong with a request, told by JSON.

use http::Method;
use serde_json::json;

use super::{Door, JSON, Rehearsal, ask};
use crate::harness::GET;

const SEND: &str = "MessageService/SendMessage";
const SEND_PATH: &str = "/parlance.v1.MessageService/SendMessage";

#[tokio::test]
async fn a_refusal_is_a_status_with_its_details() {
    let door = Door::open().await;
    let told = door.call(SEND, &json!({"channel": "CHANNEL_SMS"})).await;
    told.assert_fault(400, "INVALID_ARGUMENT", "INVALID_REQUEST");
    assert_eq!(told.json["code"], 3);
    assert_eq!(told.detail("ErrorInfo")["domain"], "parlance");
    let wrong = told.detail("BadRequest")["fieldViolations"]
        .as_array()
        .unwrap();
    assert!(
        wrong.iter().any(|it| it["field"] == "to_address"),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_field_that_does_not_fit_is_named_with_its_place() {
    let door = Door::open().await;
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
        let told = door.call(SEND, &body).await;
        told.assert_fault(400, "INVALID_ARGUMENT", "INVALID_REQUEST");
        let wrong = &told.detail("BadRequest")["fieldViolations"];
        assert_eq!(wrong[0]["field"], field, "{told:?}");
        assert!(
            told.json["message"].as_str().unwrap().starts_with(field),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_json_is_told_with_its_position() {
    let door = Door::open().await;
    for (body, position) in [
        ("{\n  \"body\": \"a\",\n  body}", "line 3 column 3"),
        ("{\"body\": \"a\"", "line 1 column 12"),
        ("{} {}", "line 1 column 4"),
        ("[]", "line 1 column"),
        ("\"text\"", "line 1 column"),
    ] {
        let told = ask(door.http, Method::POST, SEND_PATH, &[JSON], body).await;
        told.assert_fault(400, "INVALID_ARGUMENT", "MALFORMED_REQUEST");
        let text = told.json["message"].as_str().unwrap();
        assert!(text.contains(position), "{body}: {text}");
    }
}

#[tokio::test]
async fn neither_depth_nor_number_of_values_costs_more_than_the_answer() {
    let door = Door::open().await;
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
        let told = ask(door.http, Method::POST, SEND_PATH, &[JSON], body).await;
        assert_eq!(
            (told.code.as_u16(), &told.json["code"]),
            (400, &json!(3)),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_method_that_is_not_there_is_named() {
    let door = Door::open().await;
    for path in ["/parlance.v1.MessageService/Nothing", "/made.Up/Name"] {
        let told = ask(door.http, Method::POST, path, &[JSON], "{}").await;
        told.assert_fault(404, "UNIMPLEMENTED", "UNKNOWN_METHOD");
        assert!(told.json["message"].as_str().unwrap().contains(path));
    }
}

#[tokio::test]
async fn a_method_is_called_by_post_alone() {
    let door = Door::open().await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let told = ask(door.http, method, SEND_PATH, &[], "").await;
        told.assert_fault(405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED");
        assert_eq!(told.headers["allow"], "POST");
    }
}

#[tokio::test]
async fn a_form_or_plain_text_is_no_json() {
    let door = Door::open().await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "",
    ] {
        let headers = [("content-type", kind)];
        let told = ask(door.http, Method::POST, SEND_PATH, &headers, "{}").await;
        told.assert_fault(415, "INVALID_ARGUMENT", "UNSUPPORTED_MEDIA_TYPE");
        assert!(told.json["message"].as_str().unwrap().contains("--json"));
    }
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        let headers = [("content-type", kind)];
        let path = "/parlance.v1.ConversationService/ListConversations";
        let told = ask(door.http, Method::POST, path, &headers, "{}").await;
        assert_eq!(told.code, 200, "{kind}");
    }
}

#[tokio::test]
async fn a_deadline_is_the_same_header() {
    let rehearsal = Rehearsal::start();
    let told = rehearsal.get(&[("grpc-timeout", "100m")], "wait").await;
    told.assert_fault(504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED");
    let told = rehearsal.get(&[("grpc-timeout", "5s")], "a").await;
    told.assert_fault(400, "INVALID_ARGUMENT", "MALFORMED_REQUEST");
}

#[tokio::test]
async fn a_panic_and_a_reply_that_is_too_large_are_told() {
    let rehearsal = Rehearsal::start();
    let told = rehearsal.get(&[], "panic").await;
    told.assert_fault(500, "INTERNAL", "INTERNAL");
    let told = rehearsal.get(&[], "large").await;
    told.assert_fault(413, "RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE");
    let told = rehearsal.get(&[], "a").await;
    assert_eq!(told.json["id"], "a");
}

#[tokio::test]
async fn every_call_is_counted_whatever_became_of_it() {
    let rehearsal = Rehearsal::start();
    rehearsal.get(&[], "a").await;
    rehearsal.get(&[("content-type", "text/plain")], "a").await;
    ask(rehearsal.http, Method::POST, "/made.Up/Name", &[], "").await;
    let count = |code: &str, method: &str, service: &str| {
        format!(
            r#"grpc_server_handled_total{{grpc_code="{code}",grpc_method="{method}",grpc_service="{service}"}} 1"#
        )
    };
    let service = "parlance.v1.SenderService";
    rehearsal
        .grpc
        .until_counted(&count("OK", "GetSender", service))
        .await;
    rehearsal
        .grpc
        .until_counted(&count("InvalidArgument", "GetSender", service))
        .await;
    rehearsal
        .grpc
        .until_counted(&count("Unimplemented", "other", "other"))
        .await;
    assert!(GET.contains(service));
}
