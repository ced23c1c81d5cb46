//! What is told of each form of the cache, and who may have which.

use parlance_testkit::{Builder, Parlance, RedisCluster, SqliteFile};
use parlance_tests::make;
use parlance_tests::raw::get;
use tonic::Code;

use super::*;

#[tokio::test]
async fn in_memory_hits_and_misses_are_counted() {
    let (_service, t) = in_memory().await;
    let told = info(&t).await;
    assert_eq!(
        (
            told.backend.as_str(),
            told.gate.as_str(),
            told.breaker.as_str()
        ),
        ("memory", "none", "")
    );
    assert!(
        told.guarantee.contains("this instance alone"),
        "{}",
        told.guarantee
    );
    assert_eq!(told.drained_ago, None);

    let (message, _) = talk(&t).await;
    t.message(&message).await;
    for _ in 0..3 {
        t.message(&message).await;
    }
    let counted = stats(&t, "memory", "message").await;
    assert_eq!((counted.hits, counted.misses, counted.errors), (3, 1, 0));
    assert!(
        (counted.hit_rate - 0.75).abs() < 1e-9,
        "{}",
        counted.hit_rate
    );
    assert_eq!(
        (counted.entries, counted.fills, counted.evictions),
        (1, 1, 0)
    );
    assert!(counted.bytes > 0);
    t.ok(make::report(&message, v1::MessageStatus::Read)).await;
    let counted = stats(&t, "memory", "message").await;
    assert_eq!((counted.entries, counted.invalidations), (0, 1));

    let metrics = get(&format!("{}/metrics", t.http_url())).await.text();
    for line in [
        r#"cache_operations_total{kind="message",operation="get",result="hit",tier="memory"} 3"#,
        r#"cache_operations_total{kind="message",operation="get",result="miss",tier="memory"} 1"#,
        r#"cache_operations_total{kind="message",operation="invalidate",result="ok",tier="memory"} 1"#,
        r#"parlance_cache_get_seconds_count{kind="message",result="hit",tier="memory"} 3"#,
        r#"parlance_cache_set_seconds_count{kind="message",result="ok",tier="memory"} 1"#,
        r#"parlance_cache_invalidate_seconds_count{kind="message",result="ok",tier="memory"} 1"#,
        r#"parlance_cache_info{backend="memory"} 1"#,
        r#"parlance_cache_audit_violations_total{kind="message"} 0"#,
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "no {line} in\n{metrics}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_all_of_it_is_told() {
    let Twins {
        a,
        redis: _redis,
        services: _services,
        ..
    } = twins("hybrid").await;
    let told = eventually(SOON, async || {
        let told = info(&a).await;
        let works = told.gate == "open" && told.breaker == "closed" && told.redis_reachable;
        let drained = told.drained_ago.is_some_and(|ago| ago.seconds == 0);
        (works && drained && told.tracking_live && told.redis.is_some()).then_some(told)
    })
    .await;
    assert_eq!(
        (told.backend.as_str(), told.backend_note.as_str()),
        ("hybrid", "")
    );
    assert!(told.epoch > 0);
    assert!(told.redis.is_some_and(|redis| redis.used_bytes > 0));

    let (message, _) = talk(&a).await;
    let near = eventually(SOON, async || {
        until_from(&a, make::get_message(&message), "memory").await;
        let near = stats(&a, "memory", "message").await;
        (near.entries == 1).then_some(near)
    })
    .await;
    assert!(near.hits >= 1, "{near:?}");
    let far = stats(&a, "redis", "message").await;
    let filled = far.fills == 1 || far.errors > 0;
    assert!(far.hits >= 1 && far.misses >= 1 && filled, "{far:?}");
    let tiers = a.ok(v1::GetCacheStatsRequest {}).await.tiers;
    assert!(
        !tiers
            .iter()
            .any(|s| s.tier == "memory" && s.kind == "messages"),
        "lists are not copied"
    );
}

#[tokio::test]
async fn off_says_so() {
    let service = Service::start_with(Kind::Sqlite, |b| b.env("CACHE_BACKEND", "off")).await;
    let t = Caller::at(&service);
    let told = info(&t).await;
    assert_eq!((told.backend.as_str(), told.gate.as_str()), ("off", "none"));
    assert!(
        told.guarantee.contains("nothing is cached"),
        "{}",
        told.guarantee
    );
    assert!(t.ok(v1::GetCacheStatsRequest {}).await.tiers.is_empty());
    let (message, _) = talk(&t).await;
    for _ in 0..2 {
        assert_eq!(source(&t, make::get_message(&message)).await, "database");
    }
    let why = (Code::FailedPrecondition, "CACHE_OFF");
    assert_eq!(t.refused(of_pattern("*")).await.why(), why);
    assert_eq!(t.refused(v1::ClearCacheRequest {}).await.why(), why);
    let warm = v1::WarmCacheRequest {
        hottest: 1,
        ..Default::default()
    };
    assert_eq!(t.refused(warm).await.why(), why);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_cluster_nothing_is_copied() {
    let cluster = RedisCluster::start().await;
    let service = Service::start_with(Kind::Postgres, |builder| {
        let builder = builder.env("REDIS_CLUSTER_URLS", cluster.urls().join(","));
        builder.env("CACHE_BACKEND", "hybrid")
    })
    .await;
    let t = Caller::at(&service);
    let told = info(&t).await;
    assert_eq!(told.backend, "redis");
    assert!(
        told.backend_note.contains("Redis Cluster"),
        "{}",
        told.backend_note
    );
    let (message, _) = talk(&t).await;
    eventually(SOON, async || {
        until_from(&t, make::get_message(&message), "redis").await;
        let cleared = t.ask(v1::ClearCacheRequest {}).await.ok()?.cleared;
        assert!(cleared <= 1);
        (cleared == 1).then_some(())
    })
    .await;
    assert_eq!(source(&t, make::get_message(&message)).await, "database");
}

/// A service over this file, with this backend.
fn over(file: &SqliteFile, backend: &str) -> Builder {
    Parlance::builder()
        .database_url(file.url())
        .env("CACHE_BACKEND", backend)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_cache_in_memory_nobody_else_starts() {
    let file = SqliteFile::new();
    let first = over(&file, "memory").start().await;
    for backend in ["memory", "off", ""] {
        let second = over(&file, backend).run(["serve"], SOON).await;
        assert_eq!(second.status.code(), Some(1), "{backend}: {second:?}");
        assert!(
            second
                .stderr
                .contains("would not hear of what this one writes"),
            "{second:?}"
        );
    }
    // However it ends, the next may begin.
    first.kill9();
    first.wait(SOON).await;
    over(&file, "memory").start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_others_a_cache_in_memory_is_off() {
    let file = SqliteFile::new();
    let _first = over(&file, "off").start().await;
    let service = Service::over(&file.url(), |builder| {
        builder.env("CACHE_BACKEND", "memory")
    })
    .await;
    let t = Caller::at(&service);
    let told = info(&t).await;
    assert_eq!(told.backend, "off");
    assert!(
        told.backend_note.contains("another process"),
        "{}",
        told.backend_note
    );
    assert!(
        service
            .logs()
            .contains("another process uses this database")
    );
    let (message, _) = talk(&t).await;
    assert_eq!(source(&t, make::get_message(&message)).await, "database");
}

/// Whoever has no cache ends what nobody serves under any more, and not what somebody is about to.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_one_without_a_cache_others_have_theirs() {
    let database = Postgres::shared().create_database().await;
    let server = Redis::start();
    let with = async |backend: &str| {
        Service::over(&database.url, |builder| {
            let builder = builder.redis_url(server.url());
            builder.env("CACHE_BACKEND", backend)
        })
        .await
    };
    let off = with("off").await;
    let redis = with("redis").await;
    let writer = Caller::as_owner(&off, "acme");
    let t = Caller::as_owner(&redis, "acme");
    for _ in 0..2 {
        let (message, _) = talk(&writer).await;
        until_from(&t, make::get_message(&message), "redis").await;
        writer
            .ok(make::report(&message, v1::MessageStatus::Read))
            .await;
        assert_eq!(t.message(&message).await.status(), v1::MessageStatus::Read);
        // Another process, and so another epoch.
        server.kill9();
        server.restart().await;
    }
}

/// The words that operators search for.
#[tokio::test]
async fn each_operation_leaves_a_line_in_the_log() {
    let service = Service::start_with(Kind::Sqlite, |builder| {
        builder.env("RUST_LOG", "info,parlance_cache=debug")
    })
    .await;
    let t = Caller::at(&service);
    let (message, conversation) = talk(&t).await;
    until_from(&t, make::get_message(&message), "memory").await;
    until_from(&t, make::get_conversation(&conversation), "memory").await;
    t.ok(make::report(&message, v1::MessageStatus::Read)).await;
    t.ok(make::reply(&conversation, "and on")).await;
    let lines = [
        format!("Message cache miss: {message}"),
        format!("Message cache hit: {message}"),
        format!("Cached message: {message}"),
        format!("Invalidated message cache: {message}"),
        format!("Conversation cache miss: {conversation}"),
        format!("Conversation cache hit: {conversation}"),
        format!("Cached conversation: {conversation}"),
        format!("Invalidated conversation cache: {conversation}"),
    ];
    eventually(SOON, async || {
        let logs = service.logs();
        lines.iter().all(|line| logs.contains(line)).then_some(())
    })
    .await;
}
