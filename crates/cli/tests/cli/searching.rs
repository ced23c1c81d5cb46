//! Tests of `search`.

use crate::harness::{ephemeral, objects, run, run_at, send, text};

#[tokio::test]
async fn messages_are_found_by_their_words() {
    let service = ephemeral().await;
    let sent = send(&service, "The <red> car's here").await;
    run(
        &service,
        &["send", "--chat", "garage", "--user", "ana", "A red boat"],
    )
    .await;

    let table = run(&service, &["search", "RED", "car"]).await;
    let lines: Vec<_> = table.lines().collect();
    let [head, found] = lines[..] else {
        panic!("{table}")
    };
    assert!(
        head.starts_with("TIME (UTC)") && head.ends_with("TEXT"),
        "{head}"
    );
    assert!(
        found.contains(text(&sent, "id")) && found.ends_with("The <red> car's here"),
        "{found}"
    );

    for (words, found) in [
        (&["red"][..], 2),
        (&["red", "car"], 1),
        (&["red car"], 1),
        (&["\"red\" AND (", "NEAR"], 0),
        (&[], 2),
        (&["red", "--user", "ana"], 1),
        (&["red", "--channel", "sms"], 1),
        (&["red", "--direction", "inbound"], 1),
        (&["red", "--conversation", text(&sent, "conversationId")], 1),
        (&["red", "--status", "canceled"], 0),
        (&["red", "--before", "2020-01-01T00:00:00Z"], 0),
        (&["red", "--after", "2020-01-01T00:00:00Z"], 2),
        (&["red", "--limit", "1"], 1),
    ] {
        let line = [&["search"], words].concat();
        assert_eq!(objects(&service, &line).await.len(), found, "{line:?}");
    }
    let one = run_at(&service.grpc_url(), &["search", "red", "--limit", "1"]).await;
    assert!(
        one.stderr
            .contains("more results are available; increase --limit"),
        "{one:?}"
    );
    let [result] = &objects(&service, &["search", "boat"]).await[..] else {
        panic!("one result")
    };
    assert_eq!(text(result, "snippet"), "A red <mark>boat</mark>");
    assert_eq!(text(&result["message"], "body"), "A red boat");
}

#[tokio::test]
async fn a_query_that_is_too_long_is_rejected_with_its_field() {
    let service = ephemeral().await;
    let refused = run_at(&service.grpc_url(), &["search", &"x".repeat(10_001)]).await;
    assert!(
        refused.stderr.contains("query: at most 10000 characters"),
        "{refused:?}"
    );
}
