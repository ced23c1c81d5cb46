//! gRPC-Web over HTTP/1.1.

use ::http::{Method, StatusCode};
use parlance_proto::v1;
use parlance_tests::Caller;
use parlance_tests::make::{self, chat};
use parlance_tests::raw::{framed, http1};
use prost::Message as _;

on_both! {
    async fn a_browser_sends_and_reads(t: Caller) {
        let url = |method: &str| format!("http://{}/parlance.v1.MessageService/{method}", t.grpc_address());
        let headers = [
            ("content-type", "application/grpc-web+proto"),
            ("x-parlance-owner", t.owner()),
            ("origin", "http://localhost:5173"),
            ("x-grpc-web", "1"),
        ];
        let answer = http1(Method::POST, &url("SendMessage"), &headers, framed(&chat("", "from a browser"))).await;
        assert_eq!(answer.code, StatusCode::OK);
        assert_eq!(answer.headers["access-control-allow-origin"], "http://localhost:5173");
        let length = u32::from_be_bytes(answer.body[1..5].try_into().unwrap());
        let end = 5 + usize::try_from(length).unwrap();
        let message = v1::Message::decode(answer.body.slice(5..end)).unwrap();
        assert_eq!(t.message(&message.id).await, message);
        assert_eq!(answer.body[end], 0x80, "trailers come as a last frame");
        assert!(answer.text().contains("grpc-status:0"));

        let missing = framed(&make::get_message("x"));
        let answer = http1(Method::POST, &url("GetMessage"), &headers, missing).await;
        let in_head = answer.headers.get("grpc-status").is_some_and(|status| status == "3");
        assert!(in_head || answer.text().contains("grpc-status:3"), "{answer:?}");
    }

    async fn other_origins_are_refused(t: Caller) {
        let url = format!("http://{}/parlance.v1.MessageService/SendMessage", t.grpc_address());
        for origin in ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.evil.example"] {
            let headers = [("content-type", "application/grpc-web+proto"), ("origin", origin), ("x-parlance-owner", t.owner())];
            let answer = http1(Method::POST, &url, &headers, framed(&chat("", "hi"))).await;
            assert_eq!(answer.code, StatusCode::FORBIDDEN, "{origin}");
        }
        let all = t.ok(v1::ListConversationsRequest { with_total: true, ..Default::default() }).await;
        assert_eq!(all.total_size, 0);
    }
}
