//! `InvalidateCache` and `ClearCache`.

use parlance_tests::make;

use super::*;

#[tokio::test]
async fn a_value_in_memory_goes_by_its_name() {
    let (_service, t) = in_memory().await;
    let (message, conversation) = talk(&t).await;
    until_from(&t, make::get_message(&message), "memory").await;
    until_from(&t, make::get_conversation(&conversation), "memory").await;

    let keys = [
        format!("message:{message}"),
        format!("message:{conversation}"),
    ];
    assert_eq!(
        t.ok(of_keys(&keys)).await.invalidated,
        1,
        "there is one of the two"
    );
    assert_eq!(source(&t, make::get_message(&message)).await, "database");
    assert_eq!(
        source(&t, make::get_conversation(&conversation)).await,
        "memory"
    );
    assert_eq!(
        t.ok(of_keys(&keys)).await.invalidated,
        1,
        "the read has put it back"
    );
    assert_eq!(t.ok(of_keys(&keys)).await.invalidated, 0);
}

#[tokio::test]
async fn values_in_memory_go_by_a_pattern_or_all_of_them() {
    let (_service, t) = in_memory().await;
    let (message, conversation) = talk(&t).await;
    let fill = async || {
        until_from(&t, make::get_message(&message), "memory").await;
        until_from(&t, make::get_conversation(&conversation), "memory").await;
        until_from(&t, make::list(&conversation), "memory").await;
    };
    fill().await;
    assert_eq!(
        t.ok(of_pattern("conversation:*:messages"))
            .await
            .invalidated,
        1
    );
    assert_eq!(source(&t, make::list(&conversation)).await, "database");
    assert_eq!(
        source(&t, make::get_conversation(&conversation)).await,
        "memory"
    );
    assert_eq!(t.ok(of_pattern("message:????????-*")).await.invalidated, 1);
    assert_eq!(t.ok(of_pattern("nothing:*")).await.invalidated, 0);

    fill().await;
    assert_eq!(t.ok(v1::ClearCacheRequest {}).await.cleared, 3);
    assert_eq!(source(&t, make::get_message(&message)).await, "database");
    assert_eq!(
        t.message(&message).await.body,
        "hello",
        "nothing has happened to it"
    );
}

/// Makes a message go that is there. What Redis is late to tell counts as not there, so it is put there and asked for again.
async fn goes(t: &Caller, request: v1::InvalidateCacheRequest, message: &str) {
    eventually(SOON, async || {
        until_from(t, make::get_message(message), "memory").await;
        let gone = t.ask(request.clone()).await.ok()?.invalidated;
        assert!(gone <= 1);
        (gone == 1).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_instance_hears_it() {
    let Twins {
        a,
        b,
        redis: server,
        services: _services,
    } = twins("hybrid").await;
    let (message, conversation) = talk(&a).await;
    let reads = [make::get_message(&message), make::get_message(&message)];
    for (t, read) in [&a, &b].into_iter().zip(reads) {
        until_from(t, read, "memory").await;
        until_from(t, make::get_conversation(&conversation), "memory").await;
    }
    let key = format!("message:{message}");
    goes(&a, of_keys(&[key]), &message).await;
    assert_eq!(source(&b, make::get_message(&message)).await, "database");
    let kinds = ["conversation"; 3];
    let misses = looks(&b, "redis", kinds, "miss").await;
    until_from(&b, make::get_conversation(&conversation), "memory").await;
    assert_eq!(looks(&b, "redis", kinds, "miss").await, misses);

    redis(&server, &["SET", "session:1", "theirs"]);
    redis(&server, &["SET", "message:not-an-id", "theirs"]);
    eventually(SOON, async || {
        until_from(&b, make::list(&conversation), "redis").await;
        until_from(&b, make::get_message(&message), "memory").await;
        until_from(&b, make::get_conversation(&conversation), "memory").await;
        let cleared = a.ask(v1::ClearCacheRequest {}).await.ok()?.cleared;
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
        done(&a, of_pattern("*")).await;
    }
    assert_eq!(redis(&server, &["GET", "session:1"]), "theirs");
    assert_eq!(redis(&server, &["GET", "message:not-an-id"]), "theirs");
}

/// A copy outlives what it was copied from.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_go_of_what_redis_holds_no_more() {
    let Twins {
        a,
        b,
        redis: server,
        services: _services,
    } = twins("hybrid").await;
    let (message, _) = talk(&a).await;
    let read = make::get_message(&message);
    let key = format!("message:{message}");
    eventually(SOON, async || {
        until_from(&b, read.clone(), "memory").await;
        redis(&server, &["DEL", &key]);
        // Unless it has just been told to forget everything.
        (source(&b, read.clone()).await == "memory").then_some(())
    })
    .await;
    for request in ["*", "message:*"] {
        done(&a, of_pattern(request)).await;
        assert_eq!(source(&b, read.clone()).await, "database", "{request}");
        until_from(&b, read.clone(), "memory").await;
        redis(&server, &["DEL", &key]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_value_goes_and_does_not_count() {
    let Twins {
        a, redis: server, ..
    } = &twins("redis").await;
    let (message, _) = talk(a).await;
    let key = format!("message:{message}");
    redis(server, &["SET", &key, "poison"]);
    let gone = done(a, of_keys(std::slice::from_ref(&key))).await;
    assert_eq!(gone.invalidated, 0);
    assert_eq!(redis(server, &["EXISTS", &key]), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_nothing_can_be_told() {
    let Twins {
        a,
        redis: server,
        services: _services,
        ..
    } = twins("hybrid").await;
    let (message, _) = talk(&a).await;
    server.kill9();
    let refusal = eventually(SOON, async || {
        let asked = a.ask(v1::ClearCacheRequest {}).await;
        asked
            .err()
            .map(|status| parlance_tests::Refusal::of(&status))
    })
    .await;
    assert_eq!(
        refusal.why(),
        (tonic::Code::Unavailable, "CACHE_UNAVAILABLE")
    );
    assert!(refusal.retry_after.is_some());
    assert_eq!(a.message(&message).await.body, "hello", "reads go on");
    let told = eventually(SOON, async || {
        let told = info(&a).await;
        (told.breaker == "open" && told.gate == "shut").then_some(told)
    })
    .await;
    assert!(!told.redis_reachable && told.redis.is_none() && !told.gate_reason.is_empty());
    assert!(
        told.guarantee.contains("read from the database"),
        "{}",
        told.guarantee
    );
}

on_both! {
    /// Postgres has no cache here.
    async fn everything_wrong_is_told(t: Caller) {
        let refused = t.refused(of_pattern("[a]")).await;
        assert_eq!((refused.code, refused.fields), (tonic::Code::InvalidArgument, vec!["pattern".to_owned()]));
        let refused = t.refused(of_keys(&["lease:{message:x}".to_owned()])).await;
        assert_eq!((refused.code, refused.fields), (tonic::Code::InvalidArgument, vec!["keys[0]".to_owned()]));
        let refused = t.refused(v1::WarmCacheRequest::default()).await;
        assert_eq!((refused.code, refused.fields), (tonic::Code::InvalidArgument, vec!["hottest".to_owned()]));
    }
}
