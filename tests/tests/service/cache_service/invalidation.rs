//! `InvalidateCache` and `ClearCache`.

use parlance_tests::make;

use super::*;

#[tokio::test]
async fn values_in_memory_are_invalidated_by_key() {
    let (_service, t) = in_memory().await;
    let (message, conversation) = send_chat(&t).await;
    until_from(&t, make::get_message(&message), "memory").await;
    until_from(&t, make::get_conversation(&conversation), "memory").await;

    let keys = [
        format!("message:{message}"),
        format!("message:{conversation}"),
    ];
    assert_eq!(
        t.ok(by_keys(&keys)).await.invalidated,
        1,
        "one of the two keys is cached"
    );
    assert_eq!(source(&t, make::get_message(&message)).await, "database");
    assert_eq!(
        source(&t, make::get_conversation(&conversation)).await,
        "memory"
    );
    assert_eq!(
        t.ok(by_keys(&keys)).await.invalidated,
        1,
        "the read has filled it again"
    );
    assert_eq!(t.ok(by_keys(&keys)).await.invalidated, 0);
}

#[tokio::test]
async fn values_in_memory_are_invalidated_by_pattern_or_all_at_once() {
    let (_service, t) = in_memory().await;
    let (message, conversation) = send_chat(&t).await;
    let fill = async || {
        until_from(&t, make::get_message(&message), "memory").await;
        until_from(&t, make::get_conversation(&conversation), "memory").await;
        until_from(&t, make::list(&conversation), "memory").await;
    };
    fill().await;
    assert_eq!(
        t.ok(by_pattern("conversation:*:messages"))
            .await
            .invalidated,
        1
    );
    assert_eq!(source(&t, make::list(&conversation)).await, "database");
    assert_eq!(
        source(&t, make::get_conversation(&conversation)).await,
        "memory"
    );
    assert_eq!(t.ok(by_pattern("message:????????-*")).await.invalidated, 1);
    assert_eq!(t.ok(by_pattern("nothing:*")).await.invalidated, 0);

    fill().await;
    assert_eq!(t.ok(v1::ClearCacheRequest {}).await.cleared, 3);
    assert_eq!(source(&t, make::get_message(&message)).await, "database");
    assert_eq!(
        t.message(&message).await.body,
        "hello",
        "the message is unchanged"
    );
}

/// Invalidates a cached message. After a Redis time-out it counts as absent, so it is filled and invalidated again.
async fn invalidate_cached(t: &Caller, request: v1::InvalidateCacheRequest, message: &str) {
    eventually(SOON, async || {
        until_from(t, make::get_message(message), "memory").await;
        let gone = t.call(request.clone()).await.ok()?.invalidated;
        assert!(gone <= 1);
        (gone == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_instance_is_notified() {
    let Twins {
        a,
        b,
        redis: server,
        services: _services,
    } = twins("hybrid").await;
    let (message, conversation) = send_chat(&a).await;
    let reads = [make::get_message(&message), make::get_message(&message)];
    for (t, read) in [&a, &b].into_iter().zip(reads) {
        until_from(t, read, "memory").await;
        until_from(t, make::get_conversation(&conversation), "memory").await;
    }
    let key = format!("message:{message}");
    invalidate_cached(&a, by_keys(&[key]), &message).await;
    assert_eq!(source(&b, make::get_message(&message)).await, "database");
    let kinds = ["conversation"; 3];
    let misses = lookups(&b, "redis", kinds, "miss").await;
    until_from(&b, make::get_conversation(&conversation), "memory").await;
    assert_eq!(lookups(&b, "redis", kinds, "miss").await, misses);

    redis(&server, &["SET", "session:1", "theirs"]);
    redis(&server, &["SET", "message:not-an-id", "theirs"]);
    eventually(SOON, async || {
        until_from(&b, make::list(&conversation), "redis").await;
        until_from(&b, make::get_message(&message), "memory").await;
        until_from(&b, make::get_conversation(&conversation), "memory").await;
        let cleared = a.call(v1::ClearCacheRequest {}).await.ok()?.cleared;
        assert!(cleared <= 3);
        (cleared == 3).then_some(())
    })
    .await;
    for t in [&a, &b] {
        assert_eq!(
            source(t, make::get_conversation(&conversation)).await,
            "database"
        );
        until_from(t, make::get_conversation(&conversation), "redis").await;
        ok_with_redis(&a, by_pattern("*")).await;
    }
    assert_eq!(redis(&server, &["GET", "session:1"]), "theirs");
    assert_eq!(redis(&server, &["GET", "message:not-an-id"]), "theirs");
}

/// A copy in the memory tier can outlive its value in Redis.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_are_invalidated_without_a_value_in_redis() {
    let Twins {
        a,
        b,
        redis: server,
        services: _services,
    } = twins("hybrid").await;
    let (message, _) = send_chat(&a).await;
    let read = make::get_message(&message);
    let key = format!("message:{message}");
    eventually(SOON, async || {
        until_from(&b, read.clone(), "memory").await;
        redis(&server, &["DEL", &key]);
        // Unless the memory tier was just cleared.
        (source(&b, read.clone()).await == "memory").then_some(())
    })
    .await;
    for request in ["*", "message:*"] {
        ok_with_redis(&a, by_pattern(request)).await;
        assert_eq!(source(&b, read.clone()).await, "database", "{request}");
        until_from(&b, read.clone(), "memory").await;
        redis(&server, &["DEL", &key]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_values_are_deleted_and_not_counted() {
    let Twins {
        a, redis: server, ..
    } = &twins("redis").await;
    let (message, _) = send_chat(a).await;
    let key = format!("message:{message}");
    redis(server, &["SET", &key, "poison"]);
    let reply = ok_with_redis(a, by_keys(std::slice::from_ref(&key))).await;
    assert_eq!(reply.invalidated, 0);
    assert_eq!(redis(server, &["EXISTS", &key]), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_invalidation_is_unavailable() {
    let Twins {
        a,
        redis: server,
        services: _services,
        ..
    } = twins("hybrid").await;
    let (message, _) = send_chat(&a).await;
    server.kill9();
    let refusal = eventually(SOON, async || {
        let result = a.call(v1::ClearCacheRequest {}).await;
        result
            .err()
            .map(|status| parlance_tests::Refusal::of(&status))
    })
    .await;
    assert_eq!(
        refusal.code_and_reason(),
        (tonic::Code::Unavailable, "CACHE_UNAVAILABLE")
    );
    assert!(refusal.retry_after.is_some());
    assert_eq!(a.message(&message).await.body, "hello", "reads continue");
    let cache_info = eventually(SOON, async || {
        let cache_info = info(&a).await;
        (cache_info.breaker == "open" && cache_info.gate == "shut").then_some(cache_info)
    })
    .await;
    assert!(
        !cache_info.redis_reachable
            && cache_info.redis.is_none()
            && !cache_info.gate_reason.is_empty()
    );
    assert!(
        cache_info.guarantee.contains("read from the database"),
        "{}",
        cache_info.guarantee
    );
}

on_both! {
    /// The Postgres service has no cache here.
    async fn invalid_requests_are_rejected(t: Caller) {
        let refused = t.refused(by_pattern("[a]")).await;
        assert_eq!((refused.code, refused.fields), (tonic::Code::InvalidArgument, vec!["pattern".to_owned()]));
        let refused = t.refused(by_keys(&["lease:{message:x}".to_owned()])).await;
        assert_eq!((refused.code, refused.fields), (tonic::Code::InvalidArgument, vec!["keys[0]".to_owned()]));
        let refused = t.refused(v1::WarmCacheRequest::default()).await;
        assert_eq!((refused.code, refused.fields), (tonic::Code::InvalidArgument, vec!["hottest".to_owned()]));
    }
}
