//! Tests of `demo`.

use crate::harness::{ephemeral, objects, program, run, run_at, text};

#[tokio::test]
async fn each_step_is_shown_with_the_source_of_its_reply() {
    let service = ephemeral().await;
    let printed = run(&service, &["demo"]).await;
    assert!(printed.starts_with("cache         memory\n"), "{printed}");
    assert!(printed.contains("times as fast"), "{printed}");

    let steps = objects(&service, &["demo"]).await;
    assert_eq!(text(&steps[0], "backend"), "memory");
    let printed: Vec<(&str, &str)> = steps[1..]
        .iter()
        .map(|step| {
            let of = |name: &str| step[name].as_str().unwrap_or_default();
            (
                of(if step["kind"].is_null() {
                    "step"
                } else {
                    "kind"
                }),
                of("source"),
            )
        })
        .collect();
    let of = |subject, change| {
        [
            (subject, ""),
            ("first read", "database"),
            ("second read", "memory"),
            (change, ""),
            ("next read", "database"),
            ("and again", "memory"),
        ]
    };
    let message = of("message", "its status becomes READ");
    let conversation = of("conversation", "it gets a title");
    let statistics = of("statistics", "a message is sent");
    let search = of("search", "a message is sent");
    let all = [message, conversation, statistics, search];
    assert_eq!(printed, all.concat());
    // The demo deletes its data.
    assert!(objects(&service, &["list"]).await.is_empty());
}

#[tokio::test]
async fn a_cache_that_is_off_is_reported() {
    let service = program().arg("--ephemeral").env("CACHE_BACKEND", "off");
    let service = service.start().await;
    let finished = run_at(&service.grpc_url(), &["demo"]).await;
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(
        finished.stderr.contains("the cache of this service is off"),
        "{finished:?}"
    );
}
