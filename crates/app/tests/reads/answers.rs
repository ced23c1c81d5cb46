//! Lists, statistics and searches: the cost of a hit, isolation of owners, and reads that are not cached.

use std::process::Command;
use std::time::Duration;

use parlance_app::Answer;
use parlance_app::cache::Source;
use parlance_app::conversations::{ConversationFilter, ListConversations};
use parlance_app::messages::SearchMessages;
use parlance_cache::Backend;
use parlance_domain::Owner;
use parlance_testkit::{Postgres, PostgresConfig, eventually};

use crate::db::Db;
use crate::world::{SOON, World, shown};

/// Reads all three for the owner and for ada; returns the source and the content of each.
async fn all(world: &World) -> Vec<(&'static str, Source, String)> {
    let mut all = Vec::new();
    for user in [None, Some("ada")] {
        let list = world.listed(user).await;
        all.push(("list", list.source, shown(&list.value)));
        let stats = world.counted(user).await;
        all.push(("stats", stats.source, shown(&stats.value)));
        let search = world.searched("hello", user).await;
        all.push(("search", search.source, shown(&search.value)));
    }
    all
}

/// The same, repeated until all reads are hits.
async fn hits(world: &World) -> Vec<String> {
    eventually(SOON, async || {
        let all = all(world).await;
        let are_hits = all.iter().all(|(_, from, _)| *from != Source::Database);
        are_hits.then(|| all.into_iter().map(|(_, _, content)| content).collect())
    })
    .await
}

/// Rows changed behind the service's back reveal which reads use the database.
async fn a_hit_costs_no_statement(db: Db, backend: Backend) {
    let world = World::new(db, backend).await;
    let sent = world.chat("c", "hello").await;
    world
        .edit(sent.conversation_id, |edit| {
            edit.user = Some("ada".to_owned());
        })
        .await;
    let before = hits(&world).await;
    world
        .db
        .run("UPDATE conversations SET title = 'behind'; UPDATE messages SET body = 'hello behind'; DELETE FROM stat_totals; DELETE FROM stat_deltas")
        .await;
    assert_eq!(hits(&world).await, before);

    // Filters that are not cached use the database.
    let next = ListConversations {
        filter: ConversationFilter {
            participant: Some("+16460000001".to_owned()),
            ..ConversationFilter::default()
        },
        ..ListConversations::default()
    };
    let next = world.app.list_conversations(&world.owner, next, None).await;
    assert_eq!(next.unwrap().source, Source::Database);

    // After a write, the next read shows the database's content.
    world.chat("c", "more").await;
    for (of, from, content) in all(&world).await {
        assert_eq!(from, Source::Database, "{of}");
        assert!(of == "stats" || content.contains("behind"), "{content}");
    }
}

#[tokio::test]
async fn a_hit_costs_no_statement_in_memory() {
    for db in [Db::sqlite().await, Db::postgres().await] {
        a_hit_costs_no_statement(db, Backend::Memory).await;
    }
}

#[tokio::test]
async fn a_hit_costs_no_statement_in_redis() {
    for db in [Db::sqlite().await, Db::postgres().await] {
        a_hit_costs_no_statement(db, Backend::Redis).await;
    }
}

/// Cached values are visible to their owner only.
async fn another_owner_finds_nothing(backend: Backend) {
    let mut world = World::new(Db::sqlite().await, backend).await;
    world.chat("c", "hello secret").await;
    let ours = hits(&world).await;
    let owner = std::mem::replace(&mut world.owner, Owner::parse("stranger").unwrap());
    for _ in 0..2 {
        for ((of, _, content), ours) in all(&world).await.into_iter().zip(&ours).take(3) {
            assert!(
                !content.contains("secret") && content != *ours,
                "{of}: {content}"
            );
        }
    }
    world.owner = owner;
    assert_eq!(hits(&world).await, ours);
}

#[tokio::test]
async fn another_owner_finds_nothing_in_memory() {
    another_owner_finds_nothing(Backend::Memory).await;
}

#[tokio::test]
async fn another_owner_finds_nothing_in_redis() {
    another_owner_finds_nothing(Backend::Redis).await;
}

/// Runs a Redis command.
fn redis(world: &World, words: &[&str]) -> String {
    let server = world.redis.as_ref().unwrap();
    let command = Command::new("redis-cli")
        .args(["-u", server.url()])
        .args(words)
        .output();
    let output = command.unwrap();
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
}

fn keys(world: &World, pattern: &str) -> Vec<String> {
    let keys = redis(world, &["--scan", "--pattern", pattern]);
    keys.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn values_in_redis_are_json_and_a_corrupt_one_is_a_miss() {
    let world = World::new(Db::sqlite().await, Backend::Redis).await;
    let sent = world.chat("c", "hello <b>").await;
    world
        .edit(sent.conversation_id, |edit| {
            edit.user = Some("ada".to_owned());
        })
        .await;
    let good = hits(&world).await;
    for pattern in ["conversations:*", "stats:*", "search:*"] {
        let keys = keys(&world, pattern);
        assert_eq!(keys.len(), 2, "{pattern}");
        let texts: Vec<String> = keys
            .iter()
            .map(|key| redis(&world, &["GET", key]))
            .collect();
        for text in &texts {
            let json: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(json["owner"], "default");
            assert!(json["epoch"].is_number() && json["generation"].is_string());
            assert!(json["question"].is_string() && json["answer"].is_object());
        }
        // Of the other scope, of another owner, truncated, of another generation, of another epoch, of another type.
        let (key, value) = (&keys[0], &texts[0]);
        let corrupt = [
            texts[1].clone(),
            value.replace("\"owner\":\"default\"", "\"owner\":\"eve\""),
            value[..value.len() - 1].to_owned(),
            value.replace("\"generation\":\"", "\"generation\":\"0"),
            value.replace("{\"epoch\":", "{\"epoch\":1"),
            "corrupt".to_owned(),
            String::new(),
        ];
        for corrupt in corrupt {
            assert_ne!(&corrupt, value);
            let all = world
                .while_open(async || {
                    hits(&world).await;
                    redis(&world, &["SET", key, &corrupt]);
                    all(&world).await
                })
                .await;
            let content: Vec<&String> = all.iter().map(|(_, _, content)| content).collect();
            assert!(
                content
                    .iter()
                    .zip(&good)
                    .all(|(content, good)| *content == good),
                "{corrupt}"
            );
            let misses = all.iter().filter(|(_, from, _)| *from == Source::Database);
            assert_eq!(misses.count(), 1, "{corrupt}");
            assert_eq!(
                hits(&world).await,
                good,
                "the corrupt value was overwritten"
            );
        }
        redis(&world, &["DEL", key]);
        redis(&world, &["RPUSH", key, "corrupt"]);
        assert_eq!(hits(&world).await, good);
    }
}

/// A search is repeated while a large conversation is indexed again after an edit. The cached result must be
/// invalidated at the end.
#[tokio::test]
async fn a_search_after_an_edit_is_invalidated_when_indexing_ends() {
    let world = World::new(Db::sqlite().await, Backend::Memory).await;
    let mut sent = world.chat("c", "one").await;
    for _ in 0..450 {
        sent = world.chat("c", "more").await;
    }
    let count = async || {
        let search = SearchMessages {
            query: "renamed one".to_owned(),
            ..SearchMessages::default()
        };
        let page = world.app.search_messages(&world.owner, search, None).await;
        shown(&page.unwrap().value)
            .matches("<mark>one</mark>")
            .count()
    };
    assert_eq!(count().await, 0);
    world
        .edit(sent.conversation_id, |edit| {
            edit.title = Some("renamed".to_owned());
        })
        .await;
    // Repeated continuously, so that an old result is cached and would be served if its generation were not rotated.
    eventually(SOON, async || (count().await == 1).then_some(())).await;
}

/// A client that permits staleness receives an old value during a database outage.
#[tokio::test]
async fn stale_answers_are_marked() {
    let server = Postgres::start(PostgresConfig::default());
    let mut db = Db::within(&server).await;
    db.settings.acquire_timeout = Duration::from_secs(5);
    let world = World::new(db, Backend::Redis).await;
    world.chat("c", "hello").await;
    hits(&world).await;
    server.kill9();
    let (owner, allowed) = (&world.owner, Some(Duration::from_hours(1)));
    let stats = eventually(SOON, async || {
        let read = world.app.stats(owner, None, allowed).await;
        read.ok().filter(|read| read.stale.is_some())
    })
    .await;
    assert!(matches!(&stats.value, Answer::Value(stats) if stats.messages == 1));
    let list = ListConversations {
        with_total: true,
        ..ListConversations::default()
    };
    let list = world.app.list_conversations(owner, list, allowed).await;
    assert!(list.unwrap().stale.is_some());
    let search = || SearchMessages {
        query: "hello".to_owned(),
        ..SearchMessages::default()
    };
    let found = world.app.search_messages(owner, search(), allowed).await;
    assert!(found.unwrap().stale.is_some());
    let refused = world.app.search_messages(owner, search(), None).await;
    assert_eq!(refused.unwrap_err().reason.as_str(), "DATABASE_UNAVAILABLE");
}
