//! Tests of error messages.

use crate::harness::{OURS, ephemeral, run_at};

#[tokio::test]
async fn without_a_service_the_error_names_the_command_that_starts_one() {
    let unused = parlance_testkit::ClosedPort::reserve();
    let at = unused.address();
    let finished = run_at(&at.to_string(), &["list"]).await;
    assert_eq!(finished.status.code(), Some(1));
    let expected = format!(
        "parlance: cannot connect to http://{at}: connection refused; start a service with `parlance serve`, or check --server\n"
    );
    assert_eq!(finished.stderr, expected);
}

#[tokio::test]
async fn a_port_that_does_not_serve_grpc_is_reported() {
    let service = ephemeral().await;
    let finished = run_at(&service.http_url(), &["list"]).await;
    assert_eq!(finished.status.code(), Some(1));
    let hint = "check that --server is the gRPC address of the service";
    assert!(finished.stderr.contains(hint), "{finished:?}");
}

#[tokio::test]
async fn every_invalid_field_is_reported() {
    let service = ephemeral().await;
    let words = ["send", "--from", "12", "--to", "+34x", "Hello"];
    let finished = run_at(&service.grpc_url(), &words).await;
    assert_eq!(finished.status.code(), Some(1));
    assert_eq!(finished.stdout, "");
    let lines: Vec<_> = finished.stderr.lines().collect();
    let [head, reason, from, to] = lines[..] else {
        panic!("{finished:?}")
    };
    assert_eq!(head, "parlance: the request is invalid");
    assert_eq!(reason, "parlance:   reason: INVALID_REQUEST");
    assert!(from.starts_with("parlance:   from_address: "), "{from}");
    assert!(to.starts_with("parlance:   to_address: "), "{to}");
}

#[tokio::test]
async fn an_unknown_id_is_reported() {
    let service = ephemeral().await;
    let id = "01900000-0000-7000-8000-000000000000";
    let finished = run_at(&service.grpc_url(), &["get", id]).await;
    assert_eq!(finished.status.code(), Some(1));
    let expected = format!("parlance: no message or conversation has the id {id}");
    assert!(finished.stderr.starts_with(&expected), "{finished:?}");

    for words in [
        &["list", id][..],
        &["watch", "--conversation", id],
        &["send", "--conversation", id, "x"],
    ] {
        let finished = run_at(&service.grpc_url(), words).await;
        assert_eq!(finished.status.code(), Some(1), "{words:?}");
        assert!(
            finished.stderr.contains("\nparlance:   reason: "),
            "{finished:?}"
        );
    }
}

#[tokio::test]
async fn an_invalid_command_line_has_its_own_exit_code() {
    for words in [
        &["send", "Hello"][..],
        &["send", "--from", OURS, "Hello"],
        &["list", "--limit", "0"],
        &["list", "--server", "https://127.0.0.1:1"],
        &["send", "--chat", "c", "--at", "tomorrow", "Hello"],
        &["shout"],
    ] {
        let finished = run_at("", words).await;
        assert_eq!(finished.status.code(), Some(2), "{words:?}: {finished:?}");
    }
}
