//! Lifetime and number of cached values.

use std::time::Instant;

use futures_util::future::join_all;
use parlance_testkit::Builder;

use super::*;

/// Messages that are filled at about the same time.
const MESSAGES_FILLED_TOGETHER: usize = 30;

/// Remaining lifetimes of Redis keys, in milliseconds.
fn left(server: &Redis, pattern: &str) -> Vec<i64> {
    let keys = redis(server, &["--scan", "--pattern", pattern]);
    let left = keys
        .lines()
        .map(|key| redis(server, &["PTTL", key]).parse());
    left.collect::<Result<_, _>>().expect("numbers")
}

/// Redis keeps each value for its lifetime less up to a tenth, and values that were filled together not equally long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lifetimes_are_as_documented_with_jitter() {
    let server = Redis::start();
    let with_redis = |builder: Builder| {
        let builder = builder.redis_url(server.url());
        builder.env("CACHE_BACKEND", "redis")
    };
    let service = Service::start_with(Kind::Sqlite, with_redis).await;
    let t = Caller::at(&service);
    let began = Instant::now();
    let mut messages = Vec::new();
    for number in 0..MESSAGES_FILLED_TOGETHER {
        messages.push(t.ok(make::chat(&format!("talk-{number}"), "hello")).await);
    }
    for message in &messages {
        until_from(&t, make::get_message(&message.id), "redis").await;
    }
    let conversation = &messages.first().expect("a message").conversation_id;
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
            assert_eq!(left.len(), MESSAGES_FILLED_TOGETHER);
            assert!(
                left.iter().any(|left| *left < most - age),
                "all expire together: {left:?}"
            );
        }
    }
}

/// Under concurrent reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_tier_keeps_to_its_limit() {
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
        let reads = ids.chunks(40).map(async |ids| {
            for id in ids {
                t.message(id).await;
                assert!(stats(&t, "memory", "message").await.entries <= MOST);
            }
        });
        join_all(reads).await;
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
