//! Reads while the database is unavailable.

use std::time::Duration;

use parlance_app::conversations::ConversationRef;
use parlance_app::messages::MessageRef;
use parlance_cache::Backend;
use parlance_testkit::{Postgres, PostgresConfig, eventually};

use crate::db::Db;
use crate::world::{SOON, World, list, shown};

/// A client that permits staleness receives an old value; other clients receive an error.
async fn stale_answers_are_marked(backend: Backend) {
    let server = Postgres::start(PostgresConfig::default());
    let mut db = Db::within(&server).await;
    // The server does not come back, so long waits are pointless.
    db.settings.acquire_timeout = Duration::from_secs(5);
    let world = World::new(db, backend).await;
    let sent = world.chat("c", "hello").await;
    let conversation = sent.conversation_id;
    world.warm(async || world.message(sent.id).await).await;
    world
        .warm(async || world.conversation(conversation).await)
        .await;
    world.warm(async || world.newest(conversation).await).await;
    server.kill9();

    let (owner, which) = (&world.owner, MessageRef::Id(sent.id));
    let allowed = Some(Duration::from_hours(1));
    let read = eventually(SOON, async || {
        let read = world.app.message(owner, &which, allowed).await;
        read.ok().filter(|read| read.stale.is_some())
    })
    .await;
    assert!(shown(&read.value).contains("hello"));
    let of = ConversationRef::Id(conversation);
    let of = world.app.conversation(owner, &of, allowed).await.unwrap();
    assert!(of.stale.is_some());
    let page = world
        .app
        .list_messages(owner, list(conversation, 0), allowed)
        .await;
    assert!(page.unwrap().stale.is_some());
    let batch = world.app.messages(owner, vec![sent.id], allowed).await;
    assert!(batch.unwrap().stale.is_some());

    for limit in [None, Some(Duration::ZERO)] {
        let error = world.app.message(owner, &which, limit).await.unwrap_err();
        assert_eq!(error.reason.as_str(), "DATABASE_UNAVAILABLE");
        let error = world
            .app
            .messages(owner, vec![sent.id], limit)
            .await
            .unwrap_err();
        assert_eq!(error.reason.as_str(), "DATABASE_UNAVAILABLE");
    }
}

#[tokio::test]
async fn stale_answers_are_marked_from_redis() {
    stale_answers_are_marked(Backend::Redis).await;
}

#[tokio::test]
async fn stale_answers_are_marked_with_hybrid() {
    stale_answers_are_marked(Backend::Hybrid).await;
}
