//! What is imported into what is cached.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_imported_is_seen_at_once() {
    for backend in ["memory", "redis"] {
        let server = Redis::start();
        let service = Service::start_with(Kind::Sqlite, |builder| {
            let builder = builder.redis_url(server.url());
            builder.env("CACHE_BACKEND", backend)
        })
        .await;
        let t = Caller::at(&service);
        let first = make::old_chat("s1", &["hello"]);
        assert_eq!(t.imported(vec![first]).await, (1, 1, 0));
        let id = t.named("s1").await.id;
        for bodies in [&["hello", "good day"][..], &["hello", "good day", "bye"]] {
            until_from(&t, make::get_conversation(&id), backend).await;
            until_from(&t, make::list(&id), backend).await;
            let more = make::old_chat("s1", bodies);
            let there = i64::try_from(bodies.len() - 1).expect("a few");
            assert_eq!(t.imported(vec![more]).await, (0, 1, there));
            let talk = t.ok(make::get_conversation(&id)).await;
            assert_eq!(talk.message_count, there + 1, "{backend}");
            let list = t.ok(make::list(&id)).await;
            let said: Vec<&str> = list.messages.iter().map(|m| m.body.as_str()).collect();
            let newest_first: Vec<&str> = bodies.iter().rev().copied().collect();
            assert_eq!(said, newest_first, "{backend}");
        }
    }
}
