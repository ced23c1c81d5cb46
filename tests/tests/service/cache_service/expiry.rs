//! How long values live, and how many.

use std::time::Instant;

use futures_util::future::join_all;
use parlance_testkit::Builder;

use super::*;

/// Messages that are filled at about the same time.
const TOGETHER: usize = 30;

/// What is left of a key of Redis, in ms.
fn left(server: &Redis, pattern: &str) -> Vec<i64> {
    let keys = redis(server, &["--scan", "--pattern", pattern]);
    let left = keys
        .lines()
        .map(|key| redis(server, &["PTTL", key]).parse());
    left.collect::<Result<_, _>>().expect("numbers")
}

/// Redis holds each value for its time or up to a tenth less, and those that were filled together not equally long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_live_as_long_as_is_promised() {
    let server = Redis::start();
    let with_redis = |builder: Builder| {
        let builder = builder.redis_url(server.url());
        builder.env("CACHE_BACKEND", "redis")
    };
    let service = Service::start_with(Kind::Sqlite, with_redis).await;
    let t = Caller::at(&service);
    let began = Instant::now();
    let mut messages = Vec::new();
    for number in 0..TOGETHER {
        messages.push(t.ok(make::chat(&format!("talk-{number}"), "hello")).await);
    }
    for message in &messages {
        until_from(&t, make::get_message(&message.id), "redis").await;
    }
    let conversation = &messages.first().expect("there are some").conversation_id;
    until_from(&t, make::get_conversation(conversation), "redis").await;
    until_from(&t, make::list(conversation), "redis").await;
    until_from(&t, v1::ListConversationsRequest::default(), "redis").await;
    until_from(&t, v1::GetStatsRequest::default(), "redis").await;
    until_from(&t, make::search("hello"), "redis").await;

    for (pattern, seconds) in [
        ("message:*", 300),
        (&*format!("conversation:{conversation}"), 300),
        (&*format!("conversation:{conversation}:messages"), 3600),
        ("conversations:*", 300),
        ("stats:*", 600),
        ("search:*", 300),
    ] {
        let left = left(&server, pattern);
        let most = seconds * 1_000;
        let age = i64::try_from(began.elapsed().as_millis()).expect("not that long");
        let promised = most * 9 / 10 - age..=most;
        assert!(!left.is_empty(), "{pattern}");
        assert!(
            left.iter().all(|left| promised.contains(left)),
            "{pattern}: {left:?}, {age} ms old"
        );
        if pattern == "message:*" {
            assert_eq!(left.len(), TOGETHER);
            assert!(
                left.iter().any(|left| *left < most - age),
                "all end together: {left:?}"
            );
        }
    }
}

/// However many ask at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_values_are_held_than_there_may_be() {
    const MOST: i64 = 50;
    const MESSAGES: i64 = 400;
    let most = MOST.to_string();
    let limited = |builder: Builder| builder.env("CACHE_MAX_MEMORY_SIZE", &most);
    let service = Service::start_with(Kind::Sqlite, limited).await;
    let t = Caller::at(&service);
    let mut ids = Vec::new();
    for number in 0..MESSAGES {
        ids.push(
            t.ok(make::chat(&format!("talk-{number}"), "hello"))
                .await
                .id,
        );
    }
    for _ in 0..3 {
        let ask = ids.chunks(40).map(async |ids| {
            for id in ids {
                t.message(id).await;
                assert!(stats(&t, "memory", "message").await.entries <= MOST);
            }
        });
        join_all(ask).await;
    }
    let counted = stats(&t, "memory", "message").await;
    assert!(counted.entries > MOST / 2, "{counted:?}");
    assert_eq!(
        counted.fills,
        counted.entries + counted.evictions,
        "{counted:?}"
    );
    assert!(counted.fills >= MESSAGES, "{counted:?}");
}
