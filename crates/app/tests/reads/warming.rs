//! Warming of the configured searches: which scopes, and how many.

use std::sync::Arc;

use parlance_app::cache::Source;
use parlance_app::cache_admin::{CacheAdmin, TierStats, Warm};
use parlance_cache::{Backend, BreakerState, Kind, RemoteHealth};
use parlance_testkit::eventually;

use crate::db::Db;
use crate::world::{SOON, World};

async fn with_searches(db: Db, words: Vec<String>) -> (World, Arc<CacheAdmin>) {
    let world = World::with_searches(db, Backend::Memory, words).await;
    let admin = CacheAdmin::new(Arc::clone(&world.app), None, String::new());
    (world, admin)
}

fn searches(admin: &CacheAdmin) -> TierStats {
    let mut stats = admin.stats().into_iter();
    stats.find(|stats| stats.kind == Kind::Search).unwrap()
}

/// Waits until this many searches are cached: a read does not wait for its fill.
async fn until_cached(admin: &CacheAdmin, count: u64) {
    eventually(SOON, async || {
        (searches(admin).held.entries == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configured_searches_are_hits_for_owners_and_users() {
    for db in [Db::sqlite().await, Db::postgres().await] {
        let words = ["hello", "nothing"].map(str::to_owned);
        let (world, admin) = with_searches(db, words.into()).await;
        world.chat_as("ana", "hello").await;
        Arc::clone(&admin).warm_on_start(10).await;
        until_cached(&admin, 4).await;
        for user in [None, Some("ana")] {
            for query in ["hello", "nothing"] {
                let read = world.searched(query, user).await;
                assert_eq!(read.source, Source::Memory, "{query} {user:?}");
            }
        }
        let other = world.searched("other", None).await;
        assert_eq!(other.source, Source::Database);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_up_runs_up_to_a_thousand_searches_of_the_latest_users_first() {
    let words = (0..100).map(|n| format!("word{n}")).collect();
    let (world, admin) = with_searches(Db::sqlite().await, words).await;
    for n in 0..11 {
        world.chat_as(&format!("user{n}"), "hello").await;
    }
    Arc::clone(&admin).warm_on_start(100).await;
    assert_eq!(searches(&admin).misses, 1_000);
    until_cached(&admin, 1_000).await;
    // A hundred words for the owner and for 9 of 11 users.
    for (user, source) in [
        (None, Source::Memory),
        (Some("user10"), Source::Memory),
        (Some("user2"), Source::Memory),
        (Some("user1"), Source::Database),
        (Some("user0"), Source::Database),
    ] {
        let read = world.searched("word99", user).await;
        assert_eq!(read.source, source, "{user:?}");
    }
}

/// Redis that does not answer.
struct Unanswered;

impl RemoteHealth for Unanswered {
    fn reachable(&self) -> bool {
        false
    }

    fn breaker(&self) -> BreakerState {
        BreakerState::Open
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_warmed_while_redis_does_not_answer() {
    let (world, _) = with_searches(Db::sqlite().await, vec!["hello".to_owned()]).await;
    world.chat_as("ana", "hello").await;
    let redis: Arc<dyn RemoteHealth> = Arc::new(Unanswered);
    let admin = CacheAdmin::new(Arc::clone(&world.app), Some(redis), String::new());
    Arc::clone(&admin).warm_on_start(10).await;
    assert_eq!(searches(&admin).misses, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_are_warmed_on_demand_for_one_scope() {
    let (world, admin) = with_searches(Db::sqlite().await, vec!["hello".to_owned()]).await;
    let message = world.chat_as("ana", "hello").await;
    let warm = async |what| admin.warm(&world.owner, what).await.unwrap();
    warm(Warm::Conversations(vec![message.conversation_id])).await;
    assert_eq!(searches(&admin).misses, 0, "no scope was named");
    warm(Warm::User("ana".to_owned())).await;
    until_cached(&admin, 1).await;
    let read = world.searched("hello", Some("ana")).await;
    assert_eq!(read.source, Source::Memory);
    warm(Warm::Hottest(1)).await;
    until_cached(&admin, 2).await;
    let read = world.searched("hello", None).await;
    assert_eq!(read.source, Source::Memory);
}
