//! Tests of calls from web pages: only those of allowed origins are accepted.

use http::Method;

use super::{JSON, JsonResponse, TestServer, ask};

#[tokio::test]
async fn the_own_page_is_one_document_with_a_strict_policy() {
    let server = TestServer::open().await;
    let response = ask(server.http, Method::GET, "/", &[], "").await;
    assert_eq!(
        (response.code.as_u16(), &response.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = response.headers["content-security-policy"]
        .to_str()
        .unwrap();
    for rule in [
        "default-src 'none'",
        "script-src 'sha256-",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    let response = ask(server.http, Method::POST, "/", &[JSON], "{}").await;
    assert_eq!(response.code, 405);
}

const LIST: &str = "/parlance.v1.ConversationService/ListConversations";

async fn from(
    server: &TestServer,
    method: Method,
    origin: &str,
    host: Option<&str>,
) -> JsonResponse {
    let own = server.http.to_string();
    let host = ("host", host.unwrap_or(&own));
    let preflight = ("access-control-request-method", "POST");
    let headers = [("origin", origin), host, JSON, preflight];
    ask(server.http, method, LIST, &headers, "{}").await
}

#[tokio::test]
async fn a_page_of_another_origin_reaches_no_method() {
    let server = TestServer::open().await;
    let port = server.http.port();
    for (origin, host) in [
        ("http://evil.example", None),
        ("null", None),
        // DNS rebinding: the page's own host name resolves to this machine.
        (
            &*format!("http://evil.example:{port}"),
            Some(&*format!("evil.example:{port}")),
        ),
    ] {
        for method in [Method::POST, Method::OPTIONS] {
            let response = from(&server, method, origin, host).await;
            response.assert_fault(403, "PERMISSION_DENIED", "ORIGIN_NOT_ALLOWED");
            assert!(!response.headers.contains_key("access-control-allow-origin"));
        }
    }
}

#[tokio::test]
async fn the_own_page_and_loopback_origins_may_call() {
    let server = TestServer::open().await;
    for origin in [&*format!("http://{}", server.http), "http://localhost:5173"] {
        let response = from(&server, Method::POST, origin, None).await;
        assert_eq!(response.code, 200, "{response:?}");
        assert_eq!(response.headers["access-control-allow-origin"], origin);
        let response = from(&server, Method::OPTIONS, origin, None).await;
        assert_eq!(
            (
                response.code.as_u16(),
                &response.headers["access-control-allow-methods"]
            ),
            (200, &"POST".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn the_own_page_may_call_with_a_list_of_origins() {
    let server = TestServer::open_with(&[("GRPC_WEB_ORIGINS", "https://app.example.com")]).await;
    let own = format!("http://{}", server.http);
    for (origin, code) in [
        ("https://app.example.com", 200),
        (&own, 200),
        ("http://localhost:5173", 403),
    ] {
        let response = from(&server, Method::POST, origin, None).await;
        assert_eq!(response.code, code, "{origin}");
    }
}
