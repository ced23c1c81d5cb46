//! The HTTP port.

use ::http::StatusCode;
use parlance_tests::make::chat;
use parlance_tests::raw::{get, http1};
use parlance_tests::{Caller, SOON};

on_both! {
    async fn liveness_and_readiness(t: Caller) {
        let answer = get(&format!("{}/healthz", t.http_url())).await;
        assert_eq!((answer.code, answer.text().as_str()), (StatusCode::OK, "ok\n"));
        // A database that takes a second to answer makes the service briefly not ready.
        let url = format!("{}/readyz", t.http_url());
        parlance_testkit::eventually(SOON, async || {
            let answer = get(&url).await;
            (answer.code == StatusCode::OK && answer.text() == "ready\n").then_some(())
        }).await;
        let nowhere = get(&format!("{}/nothing", t.http_url())).await;
        assert_eq!(nowhere.code, StatusCode::NOT_FOUND);
        let posted = http1(::http::Method::POST, &format!("{}/healthz", t.http_url()), &[], "x".into()).await;
        assert_eq!(posted.code, StatusCode::METHOD_NOT_ALLOWED);
    }

    async fn the_gate_metric_exists_only_with_a_shared_cache(t: Caller) {
        let text = get(&format!("{}/metrics", t.http_url())).await.text();
        assert!(text.contains("parlance_cache_info"), "{text}");
        assert!(!text.contains("parlance_cache_gate"), "the alert would fire forever: {text}");
    }

    async fn metrics_count_calls_and_contain_no_personal_data(t: Caller) {
        t.ok(chat("a-name-of-a-chat", "a body of a message")).await;
        t.refused(chat("", "")).await;
        let url = format!("{}/metrics", t.http_url());
        let labels = r#"grpc_method="SendMessage",grpc_service="parlance.v1.MessageService""#;
        let counted = |text: &str, code: &str| text.contains(&format!(r#"grpc_server_handled_total{{grpc_code="{code}",{labels}}}"#));
        let text = parlance_testkit::eventually(SOON, async || {
            let text = get(&url).await.text();
            (counted(&text, "OK") && counted(&text, "InvalidArgument")).then_some(text)
        }).await;
        for name in [
            "grpc_server_handling_seconds_bucket", "grpc_server_in_flight", "parlance_open_connections",
            "parlance_database_connections", "parlance_build_info",
        ] {
            assert!(text.contains(name), "{name}");
        }
        for secret in ["a-name-of-a-chat", "a body", t.owner()] {
            assert!(!text.contains(&format!("\"{secret}\"")), "{secret}");
        }
        let answer = get(&url).await;
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    }
}
