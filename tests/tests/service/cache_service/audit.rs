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

/// The kinds whose answers are looked at when they are given.
const KINDS: [&str; 3] = ["search", "list", "stats"];

/// So many hits that one of them is looked at. All of one kind: one that is suspected keeps the others waiting for seconds, and
/// whichever is asked then has the next turn.
async fn ask(t: &Caller, kind: &str) {
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
    for kind in KINDS {
        eventually(SOON, async || {
            ask(&a, kind).await;
            assert_eq!(counted(&a, "violations", kind).await, 0, "{kind}");
            (counted(&a, "checked", kind).await > 0).then_some(())
        })
        .await;
    }

    let wrongs = [
        ("search:*", "hello", "planted"),
        (
            "conversations:*",
            "\"message_count\":1",
            "\"message_count\":7",
        ),
        ("stats:*", "\"messages\":1", "\"messages\":7"),
    ];
    for (pattern, said, planted) in wrongs {
        let key = redis(&server, &["--scan", "--pattern", pattern]);
        let right = redis(&server, &["GET", &key]);
        let wrong = right.replace(said, planted);
        assert_ne!(right, wrong);
        redis(&server, &["SET", &key, &wrong, "EX", "300"]);
    }
    // A reader cannot tell.
    let planted = async || (a.stats("").await.message_count == 7).then_some(());
    eventually(SOON, planted).await;
    for kind in KINDS {
        eventually(SOON, async || {
            ask(&a, kind).await;
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
    for kind in KINDS {
        eventually(SOON, async || {
            let write = async {
                for _ in 0..8 {
                    b.ok(make::reply(&conversation, "hello")).await;
                }
            };
            tokio::join!(write, ask(a, kind));
            (counted(a, "checked", kind).await >= 3).then_some(())
        })
        .await;
    }
    assert_eq!(info(a).await.audit_violations, 0);
}

/// An instance without a cache commits, and waits until the others have heard of it: until then the old value is in force.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_acknowledged_yet_is_no_finding() {
    let twins = twins("redis").await;
    let a = &twins.a;
    let uncached = Service::over(twins.services[0].database_url(), |builder| {
        builder.env("CACHE_BACKEND", "off")
    })
    .await;
    let uncached = Caller::as_owner(&uncached, "acme");
    let (message, _) = talk(a).await;
    // Each takes as long as the others may not have heard of it; the auditor looks every second.
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
    // What was suspected has been looked at again before anything else is.
    let checked = counted(a, "checked", "message").await;
    eventually(SOON, async || {
        a.message(&message).await;
        (counted(a, "checked", "message").await > checked).then_some(())
    })
    .await;
    assert_eq!(info(a).await.audit_violations, 0);
}
