//! The auditor finds what is planted, and nothing else.

use parlance_tests::make;
use parlance_tests::raw::get;

use super::*;

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
    assert_eq!(
        a.message(&message).await.body,
        "planted",
        "a reader cannot tell"
    );
    let told = eventually(SOON, async || {
        hits().await;
        let told = info(&a).await;
        (told.audit_violations > 0).then_some(told)
    })
    .await;
    assert!(told.audit_checked > checked);
    let metrics = get(&format!("{}/metrics", a.http_url())).await.text();
    let line = metrics
        .lines()
        .find(|l| l.starts_with("parlance_cache_audit_violations_total "));
    assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{line:?}");
    let logs = services[0].logs();
    assert!(
        logs.contains("a cached value is not what the database says") && logs.contains(&key),
        "{logs}"
    );
    assert!(!logs.contains("planted"), "{logs}");

    a.ok(of_keys(&[key])).await;
    assert_eq!(a.message(&message).await.body, "hello");
}
