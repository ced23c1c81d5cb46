//! The auditor reports planted values, and nothing else.

use parlance_tests::make;
use parlance_tests::raw::get;

use super::*;

/// A counter of the auditor for a kind.
async fn counted(t: &Caller, what: &str, kind: &str) -> u64 {
    let metrics = get(&format!("{}/metrics", t.http_url())).await.text();
    let series = format!("parlance_cache_audit_{what}_total{{kind=\"{kind}\"}} ");
    let number = metrics.lines().find_map(|line| line.strip_prefix(&series));
    number.expect("a series").parse().expect("a number")
}

/// The kinds that are audited when they are served.
const KINDS: [&str; 3] = ["search", "list", "stats"];

/// Makes enough hits for one to be audited. All hits are of one kind: a suspected value delays audits of the other
/// kinds by seconds, and the next kind that is read is audited next.
async fn read_often(t: &Caller, kind: &str) {
    for _ in 0..64 {
        match kind {
            "search" => drop(t.ok(make::search("hello")).await),
            "list" => drop(t.ok(v1::ListConversationsRequest::default()).await),
            "stats" => drop(t.ok(v1::GetStatsRequest::default()).await),
            _ => panic!("no such kind: {kind}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrupted_values_are_reported() {
    let Twins {
        a,
        redis: server,
        services,
        ..
    } = twins("redis").await;
    let (message, conversation) = send_chat(&a).await;
    let read = make::get_message(&message);
    until_from(&a, read.clone(), "redis").await;
    // One hit in 64 is audited. If Redis is too slow for a moment, the database answers, and that is no hit.
    let hits = async || {
        let mut hits = 0;
        while hits < 64 {
            hits += usize::from(source(&a, read.clone()).await == "redis");
        }
        a.conversation(&conversation).await;
    };
    let checked = eventually(SOON, async || {
        hits().await;
        let cache_info = info(&a).await;
        assert_eq!(cache_info.audit_violations, 0);
        (cache_info.audit_checked > 0).then_some(cache_info.audit_checked)
    })
    .await;

    let key = format!("message:{message}");
    let right = redis(&server, &["GET", &key]);
    let wrong = right.replace("hello", "planted");
    assert_ne!(right, wrong);
    redis(&server, &["SET", &key, &wrong, "EX", "300"]);
    // The corrupted value is served.
    let planted = async || (a.message(&message).await.body == "planted").then_some(());
    eventually(SOON, planted).await;
    let cache_info = eventually(SOON, async || {
        hits().await;
        let cache_info = info(&a).await;
        (cache_info.audit_violations > 0).then_some(cache_info)
    })
    .await;
    assert!(cache_info.audit_checked > checked);
    assert!(counted(&a, "violations", "message").await > 0);
    // The counter increases before the log line is written.
    let logs = eventually(SOON, async || {
        let logs = services[0].logs();
        let logged = logs.contains("a cached value is not what the database says");
        (logged && logs.contains(&key)).then_some(logs)
    })
    .await;
    assert!(!logs.contains("planted"), "{logs}");

    ok_with_redis(&a, by_keys(&[key])).await;
    assert_eq!(a.message(&message).await.body, "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrupted_responses_are_reported() {
    let Twins {
        a,
        redis: server,
        services,
        ..
    } = twins("redis").await;
    send_chat(&a).await;
    for kind in KINDS {
        eventually(SOON, async || {
            read_often(&a, kind).await;
            assert_eq!(counted(&a, "violations", kind).await, 0, "{kind}");
            (counted(&a, "checked", kind).await > 0).then_some(())
        })
        .await;
    }

    let corruptions = [
        ("search:*", "hello", "planted"),
        (
            "conversations:*",
            "\"message_count\":1",
            "\"message_count\":7",
        ),
        ("stats:*", "\"messages\":1", "\"messages\":7"),
    ];
    for (pattern, original, planted) in corruptions {
        let key = redis(&server, &["--scan", "--pattern", pattern]);
        let right = redis(&server, &["GET", &key]);
        let wrong = right.replace(original, planted);
        assert_ne!(right, wrong);
        redis(&server, &["SET", &key, &wrong, "EX", "300"]);
    }
    // The corrupted value is served.
    let planted = async || (a.stats("").await.message_count == 7).then_some(());
    eventually(SOON, planted).await;
    for kind in KINDS {
        eventually(SOON, async || {
            read_often(&a, kind).await;
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
async fn races_with_writes_are_not_reported() {
    let twins = twins("redis").await;
    let (a, b) = (&twins.a, &twins.b);
    let (_, conversation) = send_chat(a).await;
    for kind in KINDS {
        eventually(SOON, async || {
            let write = async {
                for _ in 0..8 {
                    b.ok(make::reply(&conversation, "hello")).await;
                }
            };
            tokio::join!(write, read_often(a, kind));
            (counted(a, "checked", kind).await >= 3).then_some(())
        })
        .await;
    }
    assert_eq!(info(a).await.audit_violations, 0);
}

/// An instance without a cache commits, and waits until the others have received the invalidation. Until then they may
/// serve the old value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unacknowledged_writes_are_not_reported() {
    let twins = twins("redis").await;
    let a = &twins.a;
    let uncached = Service::over(twins.services[0].database_url(), |builder| {
        builder.env("CACHE_BACKEND", "off")
    })
    .await;
    let uncached = Caller::as_owner(&uncached, "acme");
    let (message, _) = send_chat(a).await;
    // Each edit lasts for as long as the others may miss the invalidation; the auditor audits every second.
    for edits in 0..20 {
        let metadata = make::json("edit", &edits.to_string());
        let edit = uncached.ok(make::edit_message(&message, &["metadata"], |message| {
            message.metadata = Some(metadata);
        }));
        let read = async {
            for _ in 0..20 {
                a.message(&message).await;
            }
        };
        tokio::join!(edit, read);
    }
    // A suspected value is audited again before any other value.
    let checked = counted(a, "checked", "message").await;
    eventually(SOON, async || {
        a.message(&message).await;
        (counted(a, "checked", "message").await > checked).then_some(())
    })
    .await;
    assert_eq!(info(a).await.audit_violations, 0);
}
