//! Lists, statistics and searches: what a hit costs, to whom it shows anything, and what is no hit.

use std::process::Command;
use std::time::Duration;

use parlance_app::cache::{Answer, Source};
use parlance_app::conversations::{ConversationFilter, ListConversations};
use parlance_app::messages::SearchMessages;
use parlance_cache::Backend;
use parlance_domain::Owner;
use parlance_testkit::{Postgres, PostgresConfig, eventually};

use crate::db::Db;
use crate::world::{SOON, World, shown};

/// All three of the owner and of ada, each as it came: where from, and what it says.
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

/// The same, once no statement is needed for any.
async fn hits(world: &World) -> Vec<String> {
    eventually(SOON, async || {
        let all = all(world).await;
        let are_hits = all.iter().all(|(_, from, _)| *from != Source::Database);
        are_hits.then(|| all.into_iter().map(|(_, _, said)| said).collect())
    })
    .await
}

/// Rows that were changed behind the back of the service show who still looks at them.
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

    // What is not kept is asked for.
    let next = ListConversations {
        filter: ConversationFilter {
            participant: Some("+16460000001".to_owned()),
            ..ConversationFilter::default()
        },
        ..ListConversations::default()
    };
    let next = world.app.list_conversations(&world.owner, next, None).await;
    assert_eq!(next.unwrap().source, Source::Database);

    // A write shows what is there, to whomever reads next.
    world.chat("c", "more").await;
    for (of, from, said) in all(&world).await {
        assert_eq!(from, Source::Database, "{of}");
        assert!(of == "stats" || said.contains("behind"), "{said}");
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

/// And what is there stays there for its owner.
async fn another_owner_finds_nothing(backend: Backend) {
    let mut world = World::new(Db::sqlite().await, backend).await;
    world.chat("c", "hello secret").await;
    let ours = hits(&world).await;
    let owner = std::mem::replace(&mut world.owner, Owner::parse("stranger").unwrap());
    for _ in 0..2 {
        for ((of, _, said), ours) in all(&world).await.into_iter().zip(&ours).take(3) {
            assert!(!said.contains("secret") && said != *ours, "{of}: {said}");
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

/// A command of Redis.
fn redis(world: &World, words: &[&str]) -> String {
    let server = world.redis.as_ref().unwrap();
    let command = Command::new("redis-cli")
        .args(["-u", server.url()])
        .args(words)
        .output();
    let done = command.unwrap();
    assert!(done.status.success(), "{words:?}: {done:?}");
    String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
}

fn keys(world: &World, pattern: &str) -> Vec<String> {
    let keys = redis(world, &["--scan", "--pattern", pattern]);
    keys.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_redis_shows_is_plain_and_poison_is_a_miss() {
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
        // Of the other scope, of another owner, cut, of another generation, of another epoch, of another type.
        let (here, there) = (&keys[0], &texts[0]);
        let poison = [
            texts[1].clone(),
            there.replace("\"owner\":\"default\"", "\"owner\":\"eve\""),
            there[..there.len() - 1].to_owned(),
            there.replace("\"generation\":\"", "\"generation\":\"0"),
            there.replace("{\"epoch\":", "{\"epoch\":1"),
            "poison".to_owned(),
            String::new(),
        ];
        for poison in poison {
            assert_ne!(&poison, there);
            let all = world
                .while_open(async || {
                    hits(&world).await;
                    redis(&world, &["SET", here, &poison]);
                    all(&world).await
                })
                .await;
            let said: Vec<&String> = all.iter().map(|(_, _, said)| said).collect();
            assert!(
                said.iter().zip(&good).all(|(said, good)| *said == good),
                "{poison}"
            );
            let misses = all.iter().filter(|(_, from, _)| *from == Source::Database);
            assert_eq!(misses.count(), 1, "{poison}");
            assert_eq!(hits(&world).await, good, "and it is overwritten");
        }
        redis(&world, &["DEL", here]);
        redis(&world, &["RPUSH", here, "poison"]);
        assert_eq!(hits(&world).await, good);
    }
}

/// Some are kept for the owner and some for a user, and each is the whole of it.
#[tokio::test]
async fn what_is_indexed_behind_an_edit_is_found_at_once() {
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
    // Asked for all the time, so that an answer of before is kept, and found as long as nobody says that it has ended.
    eventually(SOON, async || (count().await == 1).then_some(())).await;
}

/// Whoever allows it is answered with what was right a while ago.
#[tokio::test]
async fn old_answers_are_marked() {
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
