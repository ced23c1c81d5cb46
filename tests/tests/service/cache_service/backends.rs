//! Cache backends: what `CacheService` reports of each, and when each is available.

use parlance_testkit::{Builder, Parlance, RedisCluster, SqliteFile};
use parlance_tests::make;
use parlance_tests::raw::get;
use tonic::Code;

use super::*;

#[tokio::test]
async fn in_memory_hits_and_misses_are_counted() {
    let (_service, t) = in_memory().await;
    let cache_info = info(&t).await;
    assert_eq!(
        (
            cache_info.backend.as_str(),
            cache_info.gate.as_str(),
            cache_info.breaker.as_str()
        ),
        ("memory", "none", "")
    );
    assert!(
        cache_info.guarantee.contains("this instance alone"),
        "{}",
        cache_info.guarantee
    );
    assert_eq!(cache_info.drained_ago, None);

    let (message, _) = send_chat(&t).await;
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
async fn hybrid_cache_info_and_stats() {
    let Twins {
        a,
        redis: _redis,
        services: _services,
        ..
    } = twins("hybrid").await;
    let cache_info = eventually(SOON, async || {
        let cache_info = info(&a).await;
        let works = cache_info.gate == "open"
            && cache_info.breaker == "closed"
            && cache_info.redis_reachable;
        let drained = cache_info.drained_ago.is_some_and(|ago| ago.seconds == 0);
        (works && drained && cache_info.tracking_live && cache_info.redis.is_some())
            .then_some(cache_info)
    })
    .await;
    assert_eq!(
        (
            cache_info.backend.as_str(),
            cache_info.backend_note.as_str()
        ),
        ("hybrid", "")
    );
    assert!(cache_info.epoch > 0);
    assert!(cache_info.redis.is_some_and(|redis| redis.used_bytes > 0));

    let (message, _) = send_chat(&a).await;
    let memory = eventually(SOON, async || {
        until_from(&a, make::get_message(&message), "memory").await;
        let memory = stats(&a, "memory", "message").await;
        (memory.entries == 1).then_some(memory)
    })
    .await;
    assert!(memory.hits >= 1, "{memory:?}");
    let redis = stats(&a, "redis", "message").await;
    let filled = redis.fills == 1 || redis.errors > 0;
    assert!(redis.hits >= 1 && redis.misses >= 1 && filled, "{redis:?}");
    let tiers = a.ok(v1::GetCacheStatsRequest {}).await.tiers;
    assert!(
        !tiers
            .iter()
            .any(|s| s.tier == "memory" && s.kind == "messages"),
        "lists are not in the memory tier"
    );
}

#[tokio::test]
async fn cache_off_is_reported() {
    let service = Service::start_with(Kind::Sqlite, |b| b.env("CACHE_BACKEND", "off")).await;
    let t = Caller::at(&service);
    let cache_info = info(&t).await;
    assert_eq!(
        (cache_info.backend.as_str(), cache_info.gate.as_str()),
        ("off", "none")
    );
    assert!(
        cache_info.guarantee.contains("nothing is cached"),
        "{}",
        cache_info.guarantee
    );
    assert!(t.ok(v1::GetCacheStatsRequest {}).await.tiers.is_empty());
    let (message, _) = send_chat(&t).await;
    for _ in 0..2 {
        assert_eq!(source(&t, make::get_message(&message)).await, "database");
    }
    let expected = (Code::FailedPrecondition, "CACHE_OFF");
    assert_eq!(t.refused(by_pattern("*")).await.code_and_reason(), expected);
    assert_eq!(
        t.refused(v1::ClearCacheRequest {}).await.code_and_reason(),
        expected
    );
    let warm = v1::WarmCacheRequest {
        hottest: 1,
        ..Default::default()
    };
    assert_eq!(t.refused(warm).await.code_and_reason(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_disables_the_memory_tier() {
    let cluster = RedisCluster::start().await;
    let service = Service::start_with(Kind::Postgres, |builder| {
        let builder = builder.env("REDIS_CLUSTER_URLS", cluster.urls().join(","));
        builder.env("CACHE_BACKEND", "hybrid")
    })
    .await;
    let t = Caller::at(&service);
    let cache_info = info(&t).await;
    assert_eq!(cache_info.backend, "redis");
    assert!(
        cache_info.backend_note.contains("Redis Cluster"),
        "{}",
        cache_info.backend_note
    );
    let (message, _) = send_chat(&t).await;
    eventually(SOON, async || {
        until_from(&t, make::get_message(&message), "redis").await;
        let cleared = t.call(v1::ClearCacheRequest {}).await.ok()?.cleared;
        assert!(cleared <= 1);
        (cleared == 1).then_some(())
    })
    .await;
    assert_eq!(source(&t, make::get_message(&message)).await, "database");
}

/// A service with this database file and cache backend.
fn over(file: &SqliteFile, backend: &str) -> Builder {
    Parlance::builder()
        .database_url(file.url())
        .env("CACHE_BACKEND", backend)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_second_process_starts_while_one_uses_the_memory_cache() {
    let file = SqliteFile::new();
    let first = over(&file, "memory").start().await;
    for backend in ["memory", "off", ""] {
        let second = over(&file, backend).run(["serve"], SOON).await;
        assert_eq!(second.status.code(), Some(1), "{backend}: {second:?}");
        assert!(second.stderr.contains("would make stale"), "{second:?}");
    }
    // The lock ends with the process, however that ends.
    first.kill9();
    first.wait(SOON).await;
    over(&file, "memory").start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_memory_cache_is_off_while_another_process_uses_the_database() {
    let file = SqliteFile::new();
    let _first = over(&file, "off").start().await;
    let service = Service::over(&file.url(), |builder| {
        builder.env("CACHE_BACKEND", "memory")
    })
    .await;
    let t = Caller::at(&service);
    let cache_info = info(&t).await;
    assert_eq!(cache_info.backend, "off");
    assert!(
        cache_info.backend_note.contains("another process"),
        "{}",
        cache_info.backend_note
    );
    assert!(
        service
            .logs()
            .contains("another process uses this database")
    );
    let (message, _) = send_chat(&t).await;
    assert_eq!(source(&t, make::get_message(&message)).await, "database");
}

/// An instance without a cache deletes keys of epochs that no instance serves any more, but not those of an epoch that
/// an instance is about to serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_with_and_without_a_cache_share_a_redis() {
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
        let (message, _) = send_chat(&writer).await;
        until_from(&t, make::get_message(&message), "redis").await;
        writer
            .ok(make::report(&message, v1::MessageStatus::Read))
            .await;
        assert_eq!(t.message(&message).await.status(), v1::MessageStatus::Read);
        // A new Redis process, and therefore a new epoch.
        server.kill9();
        server.restart().await;
    }
    // The writes of the other instance have waited until this one had seen them.
    let metrics = get(&format!("{}/metrics", writer.http_url())).await.text();
    let waited = metrics
        .lines()
        .find_map(|line| line.strip_prefix("parlance_cache_degraded_wait_seconds_count "));
    assert!(waited.is_some_and(|count| count != "0"), "{metrics}");
}

/// The log lines that operators search for.
#[tokio::test]
async fn each_operation_leaves_a_line_in_the_log() {
    let service = Service::start_with(Kind::Sqlite, |builder| {
        builder.env("RUST_LOG", "info,parlance_cache=debug")
    })
    .await;
    let t = Caller::at(&service);
    let (message, conversation) = send_chat(&t).await;
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
