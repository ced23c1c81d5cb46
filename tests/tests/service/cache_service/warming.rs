//! `WarmCache`, `CACHE_WARM_ON_START` and `CACHE_WARM_SEARCHES`.

use parlance_tests::make;

use super::*;

async fn is_warm(t: &Caller, (message, conversation): &(String, String), tier: &str) {
    until_from(t, make::get_message(message), tier).await;
    until_from(t, make::get_conversation(conversation), tier).await;
    until_from(t, make::list(conversation), tier).await;
}

/// Sends a chat message in the name of a user.
async fn send_chat_as(t: &Caller, user: &str) -> (String, String) {
    let send = v1::SendMessageRequest {
        user: user.to_owned(),
        ..make::chat("", "hello")
    };
    let message = t.ok(send).await;
    (message.id, message.conversation_id)
}

/// Number of reads that went to the database.
async fn misses(t: &Caller) -> i64 {
    let mut all = 0;
    for kind in ["message", "conversation", "messages"] {
        all += stats(t, "memory", kind).await.misses;
    }
    all
}

#[tokio::test]
async fn warmed_conversations_are_hits_at_once() {
    let (_service, t) = in_memory().await;
    let talks = [
        send_chat_as(&t, "ana").await,
        send_chat_as(&t, "ben").await,
        send_chat_as(&t, "ana").await,
    ];
    let cold = async || {
        t.ok(v1::ClearCacheRequest {}).await;
    };
    let warmed = async |what: v1::WarmCacheRequest| {
        let v1::WarmCacheResponse {
            warmed,
            warmed_messages,
        } = t.ok(what).await;
        (warmed, warmed_messages)
    };
    let user = v1::WarmCacheRequest {
        user: "ana".to_owned(),
        ..Default::default()
    };
    let hottest = v1::WarmCacheRequest {
        hottest: 1,
        ..Default::default()
    };
    let named = v1::WarmCacheRequest {
        conversation_ids: vec![
            talks[1].1.clone(),
            "0190f5fe-7c00-7a00-b000-000000000000".to_owned(),
        ],
        ..Default::default()
    };
    for (what, expected, warm) in [
        (user, (2, 2), &talks[0]),
        (hottest, (1, 1), &talks[2]),
        (named, (1, 1), &talks[1]),
    ] {
        cold().await;
        assert_eq!(warmed(what.clone()).await, expected, "{what:?}");
        let before = misses(&t).await;
        assert_eq!(
            source(&t, make::get_message(&warm.0)).await,
            "memory",
            "{what:?}"
        );
        assert_eq!(
            source(&t, make::get_conversation(&warm.1)).await,
            "memory",
            "{what:?}"
        );
        assert_eq!(source(&t, make::list(&warm.1)).await, "memory", "{what:?}");
        if what.conversation_ids.is_empty() {
            let user = what.user.clone();
            let list = v1::ListConversationsRequest {
                user: user.clone(),
                ..Default::default()
            };
            assert_eq!(source(&t, list).await, "memory", "{what:?}");
            let stats = v1::GetStatsRequest { user };
            assert_eq!(source(&t, stats).await, "memory", "{what:?}");
        }
        assert_eq!(misses(&t).await, before);
        // Warming again has the same result.
        assert_eq!(warmed(what).await, expected);
    }
    cold().await;
    let all = v1::WarmCacheRequest {
        hottest: 1_000,
        ..Default::default()
    };
    let of_other_owner = t.other().ok(all).await;
    assert_eq!(
        (of_other_owner.warmed, of_other_owner.warmed_messages),
        (0, 0),
        "another owner has no conversations"
    );
}

#[tokio::test]
async fn recently_active_conversations_are_warmed_on_start() {
    let mut service =
        Service::start_with(Kind::Sqlite, |b| b.env("CACHE_WARM_ON_START", "10")).await;
    let t = Caller::as_owner(&service, "acme");
    let ids = send_chat_as(&t, "ana").await;
    service.terminate();
    service.wait(SOON).await;
    service.start_again().await;
    let t = Caller::as_owner(&service, "acme");
    eventually(SOON, async || {
        let entries = stats(&t, "memory", "message").await.entries;
        (entries == 1 && stats(&t, "memory", "messages").await.entries == 1).then_some(())
    })
    .await;
    assert_eq!(source(&t, make::get_message(&ids.0)).await, "memory");
    for user in ["", "ana"] {
        let user = user.to_owned();
        let list = v1::ListConversationsRequest {
            user: user.clone(),
            ..Default::default()
        };
        assert_eq!(source(&t, list).await, "memory", "{user}");
        assert_eq!(source(&t, v1::GetStatsRequest { user }).await, "memory");
    }
    is_warm(&t, &ids, "memory").await;
}

/// A search for a configured word.
fn search_as(user: &str) -> v1::SearchMessagesRequest {
    v1::SearchMessagesRequest {
        user: user.to_owned(),
        ..make::search("hello")
    }
}

/// Sends a message, restarts the service, and runs `between` while it is stopped.
async fn send_and_restart(service: &mut Service, between: impl FnOnce()) -> Caller {
    let t = Caller::as_owner(service, "acme");
    send_chat_as(&t, "ana").await;
    service.terminate();
    service.wait(SOON).await;
    between();
    service.start_again().await;
    Caller::as_owner(service, "acme")
}

#[tokio::test]
async fn configured_searches_are_warmed_on_start() {
    let mut service = Service::start_with(Kind::Sqlite, |b| {
        let b = b.env("CACHE_WARM_ON_START", "10");
        b.env("CACHE_WARM_SEARCHES", "hello,refund")
    })
    .await;
    let t = send_and_restart(&mut service, || {}).await;
    eventually(SOON, async || {
        (stats(&t, "memory", "search").await.entries == 4).then_some(())
    })
    .await;
    for user in ["", "ana"] {
        assert_eq!(source(&t, search_as(user)).await, "memory", "{user}");
    }
    let of_other_size = v1::SearchMessagesRequest {
        page_size: 7,
        ..search_as("")
    };
    assert_eq!(source(&t, of_other_size).await, "database");
    assert_eq!(source(&t, make::search("other")).await, "database");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configured_searches_are_warmed_into_redis_on_start() {
    let server = Redis::start();
    let mut service = Service::start_with(Kind::Postgres, |b| {
        let b = b.redis_url(server.url()).env("CACHE_BACKEND", "redis");
        b.env("CACHE_WARM_ON_START", "10")
            .env("CACHE_WARM_SEARCHES", "hello")
    })
    .await;
    let flush = || {
        redis(&server, &["FLUSHALL"]);
    };
    let t = send_and_restart(&mut service, flush).await;
    eventually(SOON, async || {
        let keys = redis(&server, &["--scan", "--pattern", "search:*"]);
        (keys.lines().count() == 2).then_some(())
    })
    .await;
    let kinds = ["search"; 3];
    let misses = lookups(&t, "redis", kinds, "miss").await;
    until_from(&t, search_as("ana"), "redis").await;
    assert_eq!(lookups(&t, "redis", kinds, "miss").await, misses);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_in_redis_are_warm_for_all_instances() {
    let Twins {
        a,
        b,
        redis: _redis,
        services: _services,
    } = twins("redis").await;
    let ids = send_chat(&a).await;
    let what = v1::WarmCacheRequest {
        hottest: 7,
        ..Default::default()
    };
    assert_eq!(a.ok(what).await.warmed, 1);
    is_warm(&b, &ids, "redis").await;
}
