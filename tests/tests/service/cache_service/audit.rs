//! The auditor finds what is planted, and nothing else.

use parlance_tests::make;
use parlance_tests::raw::get;

use super::*;

/// What the auditor has counted of a kind.
async fn counted(t: &Caller, what: &str, kind: &str) -> u64 {
    let metrics = get(&format!("{}/metrics", t.http_url())).await.text();
    let series = format!("parlance_cache_audit_{what}_total{{kind=\"{kind}\"}} ");
    let number = metrics.lines().find_map(|line| line.strip_prefix(&series));
    number.expect("a series").parse().expect("a number")
}

/// So many hits of each of these questions that one of them is looked at.
async fn ask_all(t: &Caller) {
    for _ in 0..64 {
        t.ok(make::search("hello")).await;
        t.ok(v1::ListConversationsRequest::default()).await;
        t.ok(v1::GetStatsRequest::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_value_is_found() {
    let Twins {
        a,
        redis: server,
        services,
        ..
    } = twins("redis").await;
    let (message, conversation) = talk(&a).await;
    let read = make::get_message(&message);
    until_from(&a, read.clone(), "redis").await;
    // One hit of 64 is looked at; where Redis is too slow for a moment, the database answers, which is none.
    let hits = async || {
        let mut hits = 0;
        while hits < 64 {
            hits += usize::from(source(&a, read.clone()).await == "redis");
        }
        a.conversation(&conversation).await;
    };
    let checked = eventually(SOON, async || {
        hits().await;
        let told = info(&a).await;
        assert_eq!(told.audit_violations, 0);
        (told.audit_checked > 0).then_some(told.audit_checked)
    })
    .await;

    let key = format!("message:{message}");
    let right = redis(&server, &["GET", &key]);
    let wrong = right.replace("hello", "planted");
    assert_ne!(right, wrong);
    redis(&server, &["SET", &key, &wrong, "EX", "300"]);
    // A reader cannot tell.
    let planted = async || (a.message(&message).await.body == "planted").then_some(());
    eventually(SOON, planted).await;
    let told = eventually(SOON, async || {
        hits().await;
        let told = info(&a).await;
        (told.audit_violations > 0).then_some(told)
    })
    .await;
    assert!(told.audit_checked > checked);
    assert!(counted(&a, "violations", "message").await > 0);
    // It is counted before it is told.
    let logs = eventually(SOON, async || {
        let logs = services[0].logs();
        let told = logs.contains("a cached value is not what the database says");
        (told && logs.contains(&key)).then_some(logs)
    })
    .await;
    assert!(!logs.contains("planted"), "{logs}");

    done(&a, of_keys(&[key])).await;
    assert_eq!(a.message(&message).await.body, "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_answers_are_found() {
    let Twins {
        a,
        redis: server,
        services,
        ..
    } = twins("redis").await;
    talk(&a).await;
    let kinds = [
        ("search", "search:*", "hello", "planted"),
        (
            "list",
            "conversations:*",
            "\"message_count\":1",
            "\"message_count\":7",
        ),
        ("stats", "stats:*", "\"messages\":1", "\"messages\":7"),
    ];
    eventually(SOON, async || {
        ask_all(&a).await;
        for (kind, ..) in kinds {
            assert_eq!(counted(&a, "violations", kind).await, 0, "{kind}");
            if counted(&a, "checked", kind).await == 0 {
                return None;
            }
        }
        Some(())
    })
    .await;

    for (_, pattern, said, planted) in kinds {
        let key = redis(&server, &["--scan", "--pattern", pattern]);
        let right = redis(&server, &["GET", &key]);
        let wrong = right.replace(said, planted);
        assert_ne!(right, wrong);
        redis(&server, &["SET", &key, &wrong, "EX", "300"]);
    }
    // A reader cannot tell.
    let planted = async || (a.stats("").await.message_count == 7).then_some(());
    eventually(SOON, planted).await;
    for (kind, ..) in kinds {
        eventually(SOON, async || {
            ask_all(&a).await;
            (counted(&a, "violations", kind).await > 0).then_some(())
        })
        .await;
    }
    assert!(info(&a).await.audit_violations >= 3);
    let logs = services[0].logs();
    assert!(
        !logs.contains("planted") && !logs.contains("hello"),
        "{logs}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn races_with_writes_are_no_findings() {
    let twins = twins("redis").await;
    let (a, b) = (&twins.a, &twins.b);
    let (_, conversation) = talk(a).await;
    let checked = async || {
        let mut least = u64::MAX;
        for kind in ["search", "list", "stats"] {
            least = least.min(counted(a, "checked", kind).await);
        }
        least
    };
    eventually(SOON * 2, async || {
        let write = async {
            for _ in 0..8 {
                b.ok(make::reply(&conversation, "hello")).await;
            }
        };
        tokio::join!(write, ask_all(a));
        (checked().await >= 3).then_some(())
    })
    .await;
    assert_eq!(info(a).await.audit_violations, 0);
}
