//! Imports into cached conversations.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_are_visible_at_once() {
    for backend in ["memory", "redis"] {
        let server = Redis::start();
        let service = Service::start_with(Kind::Sqlite, |builder| {
            let builder = builder.redis_url(server.url());
            builder.env("CACHE_BACKEND", backend)
        })
        .await;
        let t = Caller::at(&service);
        let first = make::imported_chat("s1", &["hello"]);
        assert_eq!(t.imported(vec![first]).await, (1, 1, 0));
        let id = t.by_external_id("s1").await.id;
        for bodies in [&["hello", "good day"][..], &["hello", "good day", "bye"]] {
            until_from(&t, make::get_conversation(&id), backend).await;
            until_from(&t, make::list(&id), backend).await;
            let more = make::imported_chat("s1", bodies);
            let existing = i64::try_from(bodies.len() - 1).expect("a few");
            assert_eq!(t.imported(vec![more]).await, (0, 1, existing));
            let conversation = t.ok(make::get_conversation(&id)).await;
            assert_eq!(conversation.message_count, existing + 1, "{backend}");
            let list = t.ok(make::list(&id)).await;
            let listed: Vec<&str> = list.messages.iter().map(|m| m.body.as_str()).collect();
            let newest_first: Vec<&str> = bodies.iter().rev().copied().collect();
            assert_eq!(listed, newest_first, "{backend}");
        }
    }
}
