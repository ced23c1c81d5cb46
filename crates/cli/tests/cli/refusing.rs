//! What does not work, and what is said then.

use crate::harness::{OURS, ephemeral, typed_at};

#[tokio::test]
async fn without_a_service_it_says_how_to_start_one() {
    let nobody = parlance_testkit::ClosedPort::reserve();
    let at = nobody.address();
    let finished = typed_at(&at.to_string(), &["list"]).await;
    assert_eq!(finished.status.code(), Some(1));
    let expected =
        format!("parlance: no service at http://{at}: start one with `parlance serve`\n");
    assert_eq!(finished.stderr, expected);
}

#[tokio::test]
async fn another_port_than_that_of_grpc_is_noticed() {
    let service = ephemeral().await;
    let finished = typed_at(&service.http_url(), &["list"]).await;
    assert_eq!(finished.status.code(), Some(1));
    let hint = "is --server the gRPC address of a service?";
    assert!(finished.stderr.contains(hint), "{finished:?}");
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let service = ephemeral().await;
    let words = ["send", "--from", "12", "--to", "+34x", "Hello"];
    let finished = typed_at(&service.grpc_url(), &words).await;
    assert_eq!(finished.status.code(), Some(1));
    assert_eq!(finished.stdout, "");
    let lines: Vec<_> = finished.stderr.lines().collect();
    let [head, reason, from, to] = lines[..] else {
        panic!("{finished:?}")
    };
    assert_eq!(head, "parlance: the request is wrong");
    assert_eq!(reason, "parlance:   reason: INVALID_REQUEST");
    assert!(from.starts_with("parlance:   from_address: "), "{from}");
    assert!(to.starts_with("parlance:   to_address: "), "{to}");
}

#[tokio::test]
async fn an_unknown_id_is_said_to_be_unknown() {
    let service = ephemeral().await;
    let id = "01900000-0000-7000-8000-000000000000";
    let finished = typed_at(&service.grpc_url(), &["get", id]).await;
    assert_eq!(finished.status.code(), Some(1));
    let said = format!("parlance: no message or conversation has the id {id}");
    assert!(finished.stderr.starts_with(&said), "{finished:?}");

    for words in [
        &["list", id][..],
        &["watch", "--conversation", id],
        &["send", "--conversation", id, "x"],
    ] {
        let finished = typed_at(&service.grpc_url(), words).await;
        assert_eq!(finished.status.code(), Some(1), "{words:?}");
        assert!(
            finished.stderr.contains("\nparlance:   reason: "),
            "{finished:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_command_is_told_from_a_refusal() {
    for words in [
        &["send", "Hello"][..],
        &["send", "--from", OURS, "Hello"],
        &["list", "--limit", "0"],
        &["list", "--server", "https://127.0.0.1:1"],
        &["send", "--chat", "c", "--at", "tomorrow", "Hello"],
        &["shout"],
    ] {
        let finished = typed_at("", words).await;
        assert_eq!(finished.status.code(), Some(2), "{words:?}: {finished:?}");
    }
}
