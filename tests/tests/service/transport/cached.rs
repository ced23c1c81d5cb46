//! Cached responses are the same over every protocol.

use ::http::{HeaderMap, Method, StatusCode};
use parlance_proto::v1;
use parlance_tests::make::{self, chat, file, get_message, json};
use parlance_tests::raw::{framed, grpc, http1};
use parlance_tests::{Caller, Kind};
use serde_json::Value;

const GET: &str = "/parlance.v1.MessageService/GetMessage";
const LIST: &str = "/parlance.v1.MessageService/ListMessages";

fn source(headers: &HeaderMap) -> &str {
    headers["x-parlance-cache"].to_str().unwrap()
}

/// The message in the first frame, which is not compressed.
fn first<M: prost::Message + Default>(body: &[u8]) -> M {
    let (prefix, rest) = body.split_at(5);
    let length = u32::from_be_bytes(prefix[1..].try_into().unwrap());
    assert_eq!(prefix[0], 0);
    M::decode(&rest[..usize::try_from(length).unwrap()]).unwrap()
}

/// Calls over gRPC, gRPC-Web and JSON.
async fn over_every_protocol<Q, A>(
    t: &Caller,
    path: &str,
    request: &Q,
    as_json: &str,
    expected: &str,
) -> (A, Value)
where
    Q: prost::Message,
    A: prost::Message + Default + PartialEq + std::fmt::Debug,
{
    let owner = ("x-parlance-owner", t.owner());
    let native = grpc(t.grpc_address(), path, &[owner], framed(request)).await;
    assert_eq!(native.trailers.as_ref().unwrap()["grpc-status"], "0");
    assert_eq!(source(&native.headers), expected);
    let reply: A = first(&native.body);

    let web = [
        ("content-type", "application/grpc-web+proto"),
        ("x-grpc-web", "1"),
        owner,
    ];
    let url = format!("http://{}{path}", t.grpc_address());
    let web = http1(Method::POST, &url, &web, framed(request)).await;
    assert_eq!(source(&web.headers), expected);
    assert_eq!(first::<A>(&web.body), reply);
    assert!(web.text().contains("grpc-status:0"));

    let headers = [("content-type", "application/json"), owner];
    let url = format!("{}{path}", t.http_url());
    let shown = http1(Method::POST, &url, &headers, as_json.to_owned().into()).await;
    assert_eq!(
        (shown.code, source(&shown.headers)),
        (StatusCode::OK, expected)
    );
    (reply, serde_json::from_slice(&shown.body).unwrap())
}

#[tokio::test]
async fn cached_and_uncached_responses_are_equal() {
    // By default SQLite has the memory cache, and Postgres none.
    for (kind, source) in [(Kind::Sqlite, "memory"), (Kind::Postgres, "database")] {
        let t = Caller::at_shared(kind).await;
        let mut send = chat("", &"word ".repeat(400));
        send.attachments = vec![file("f", "a/b", "content")];
        send.metadata = Some(json("k", r#"{"a": [1.5, null, "é"]}"#));
        let message = t.ok(send).await;
        let request = (
            get_message(&message.id),
            format!(r#"{{"id": "{}"}}"#, message.id),
        );
        let mut shown = Vec::new();
        t.ok(request.0.clone()).await;
        for _ in 0..2 {
            let (reply, json): (v1::Message, _) =
                over_every_protocol(&t, GET, &request.0, &request.1, source).await;
            assert_eq!(reply, message);
            assert_eq!(json["body"], message.body.as_str());
            shown.push(json);
        }
        assert_eq!(shown[0], shown[1]);

        let list = v1::ListMessagesRequest {
            with_total: true,
            ..make::list(&message.conversation_id)
        };
        let as_json = format!(
            r#"{{"conversationId": "{}", "withTotal": true}}"#,
            message.conversation_id
        );
        t.ok(list.clone()).await;
        let (page, json): (v1::ListMessagesResponse, _) =
            over_every_protocol(&t, LIST, &list, &as_json, source).await;
        assert_eq!(
            (page.messages.as_slice(), page.total_size),
            ([message].as_slice(), 1)
        );
        assert_eq!(
            (&json["messages"][0], &json["totalSize"]),
            (&shown[0], &Value::from("1"))
        );
    }
}

#[tokio::test]
async fn an_invalid_max_staleness_is_rejected() {
    let t = Caller::at_shared(Kind::Sqlite).await;
    let message = t.ok(chat("", "hi")).await;
    for (given, code) in [("30s", StatusCode::OK), ("30", StatusCode::BAD_REQUEST)] {
        let headers = [
            ("content-type", "application/json"),
            ("x-parlance-owner", t.owner()),
            ("x-parlance-max-staleness", given),
        ];
        let body = format!(r#"{{"id": "{}"}}"#, message.id);
        let answer = http1(
            Method::POST,
            &format!("{}{GET}", t.http_url()),
            &headers,
            body.into(),
        )
        .await;
        assert_eq!(answer.code, code);
        assert_eq!(
            answer.text().contains("x-parlance-max-staleness"),
            code != StatusCode::OK
        );
    }
}
