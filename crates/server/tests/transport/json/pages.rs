//! Which web pages may call.

use http::Method;

use super::{Door, JSON, Told, ask};

#[tokio::test]
async fn our_own_page_is_one_document_that_runs_nothing_else() {
    let door = Door::open().await;
    let told = ask(door.http, Method::GET, "/", &[], "").await;
    assert_eq!(
        (told.code.as_u16(), &told.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    let policy = told.headers["content-security-policy"].to_str().unwrap();
    for rule in [
        "default-src 'none'",
        "script-src 'sha256-",
        "connect-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    let told = ask(door.http, Method::POST, "/", &[JSON], "{}").await;
    assert_eq!(told.code, 405);
}

const LIST: &str = "/parlance.v1.ConversationService/ListConversations";

async fn from(door: &Door, method: Method, origin: &str, host: Option<&str>) -> Told {
    let own = door.http.to_string();
    let host = ("host", host.unwrap_or(&own));
    let asks = ("access-control-request-method", "POST");
    let headers = [("origin", origin), host, JSON, asks];
    ask(door.http, method, LIST, &headers, "{}").await
}

#[tokio::test]
async fn a_page_from_elsewhere_reaches_no_method() {
    let door = Door::open().await;
    let port = door.http.port();
    for (origin, host) in [
        ("http://evil.example", None),
        ("null", None),
        // Its own name, pointed at this machine.
        (
            &*format!("http://evil.example:{port}"),
            Some(&*format!("evil.example:{port}")),
        ),
    ] {
        for method in [Method::POST, Method::OPTIONS] {
            let told = from(&door, method, origin, host).await;
            told.assert_fault(403, "PERMISSION_DENIED", "ORIGIN_NOT_ALLOWED");
            assert!(!told.headers.contains_key("access-control-allow-origin"));
        }
    }
}

#[tokio::test]
async fn a_page_of_ours_or_of_this_machine_may_call() {
    let door = Door::open().await;
    for origin in [&*format!("http://{}", door.http), "http://localhost:5173"] {
        let told = from(&door, Method::POST, origin, None).await;
        assert_eq!(told.code, 200, "{told:?}");
        assert_eq!(told.headers["access-control-allow-origin"], origin);
        let told = from(&door, Method::OPTIONS, origin, None).await;
        assert_eq!(
            (
                told.code.as_u16(),
                &told.headers["access-control-allow-methods"]
            ),
            (200, &"POST".parse().unwrap())
        );
    }
}

#[tokio::test]
async fn a_list_of_origins_leaves_our_own_page_in() {
    let door = Door::open_with(&[("GRPC_WEB_ORIGINS", "https://app.example.com")]).await;
    let own = format!("http://{}", door.http);
    for (origin, code) in [
        ("https://app.example.com", 200),
        (&own, 200),
        ("http://localhost:5173", 403),
    ] {
        let told = from(&door, Method::POST, origin, None).await;
        assert_eq!(told.code, code, "{origin}");
    }
}
