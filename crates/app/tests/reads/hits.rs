//! The cost of a hit, and isolation of owners.

use parlance_app::cache::Source;
use parlance_app::conversations::{ConversationEdit, ConversationRef};
use parlance_app::messages::{MessageEdit, MessageRef};
use parlance_cache::Backend;
use parlance_domain::{Json, Message, MessageId, Owner};

use crate::db::Db;
use crate::world::{World, list, shown};

fn edit(id: MessageId, metadata: &str) -> MessageEdit {
    MessageEdit {
        id,
        etag: None,
        metadata: Some(Json::from_text(metadata.to_owned())),
        body: None,
        send_at: None,
        expires_at: None,
    }
}

/// Rows changed behind the service's back reveal which reads use the database.
#[tokio::test]
async fn a_hit_costs_no_statement() {
    for db in [Db::sqlite().await, Db::postgres().await] {
        let world = World::new(db, Backend::Memory).await;
        let sent = world.chat("c", "hello").await;
        let conversation = sent.conversation_id;
        let batch = async || {
            let read = world.app.messages(&world.owner, vec![sent.id], None).await;
            read.unwrap()
        };
        let message = world.warm(async || world.message(sent.id).await).await;
        let of = world
            .warm(async || world.conversation(conversation).await)
            .await;
        let page = world.warm(async || world.newest(conversation).await).await;
        assert_eq!(message.source, Source::Memory);
        assert!(shown(&message.value).contains("hello"));

        for sql in [
            "UPDATE messages SET body = 'behind'",
            "UPDATE conversations SET title = 'behind'",
        ] {
            world.db.run(sql).await;
        }
        assert_eq!(world.message(sent.id).await, message);
        assert_eq!(world.conversation(conversation).await, of);
        assert_eq!(world.newest(conversation).await, page);
        assert_eq!(batch().await.value.messages, [message.value]);

        // After a write, the next read shows the database's content.
        let edited = edit(sent.id, "{\"a\":1}");
        world.app.edit_message(&world.owner, edited).await.unwrap();
        for text in [
            shown(&world.message(sent.id).await.value),
            shown(&world.newest(conversation).await.value.items[0]),
            shown(&batch().await.value.messages[0]),
        ] {
            assert!(
                text.contains("behind") && text.contains("{\\\"a\\\":1}"),
                "{text}"
            );
        }
        let renamed = ConversationEdit {
            id: conversation,
            etag: None,
            user: Some("u".to_owned()),
            title: None,
            status: None,
            metadata: None,
            external_id: None,
        };
        let renamed = world.app.edit_conversation(&world.owner, renamed).await;
        assert_eq!(renamed.unwrap().title, "behind");
        let text = shown(&world.conversation(conversation).await.value);
        assert!(
            text.contains("behind") && text.contains("user: \"u\""),
            "{text}"
        );
    }
}

/// Cached values are visible to their owner only.
async fn another_owner_finds_nothing(backend: Backend) {
    let world = World::new(Db::sqlite().await, backend).await;
    let sent = world.chat("c", "secret").await;
    let conversation = sent.conversation_id;
    let sources = world
        .while_open(async || {
            world.warm(async || world.message(sent.id).await).await;
            world
                .warm(async || world.conversation(conversation).await)
                .await;
            world.warm(async || world.newest(conversation).await).await;
            check_stranger_finds_nothing(&world, &sent).await;
            [
                world.message(sent.id).await.source,
                world.conversation(conversation).await.source,
                world.newest(conversation).await.source,
            ]
        })
        .await;
    assert!(!sources.contains(&Source::Database), "{sources:?}");
}

async fn check_stranger_finds_nothing(world: &World, sent: &Message) {
    let conversation = sent.conversation_id;
    let stranger = Owner::parse("stranger").unwrap();
    let (message, of) = (MessageRef::Id(sent.id), ConversationRef::Id(conversation));
    for reason in [
        world
            .app
            .message(&stranger, &message, None)
            .await
            .unwrap_err()
            .reason
            .as_str(),
        world
            .app
            .conversation(&stranger, &of, None)
            .await
            .unwrap_err()
            .reason
            .as_str(),
        world
            .app
            .list_messages(&stranger, list(conversation, 0), None)
            .await
            .unwrap_err()
            .reason
            .as_str(),
    ] {
        assert!(reason.ends_with("NOT_FOUND"), "{reason}");
    }
    let batch = world
        .app
        .messages(&stranger, vec![sent.id], None)
        .await
        .unwrap();
    assert!(batch.value.messages.is_empty());
    assert_eq!(batch.value.missing, [sent.id]);
    assert_eq!(batch.source, Source::Database);
}

#[tokio::test]
async fn another_owner_finds_nothing_in_memory() {
    another_owner_finds_nothing(Backend::Memory).await;
}

#[tokio::test]
async fn another_owner_finds_nothing_in_redis() {
    another_owner_finds_nothing(Backend::Redis).await;
}

#[tokio::test]
async fn another_owner_finds_nothing_in_both() {
    another_owner_finds_nothing(Backend::Hybrid).await;
}

#[tokio::test]
async fn a_read_by_external_id_uses_the_database() {
    let world = World::new(Db::sqlite().await, Backend::Memory).await;
    let sent = world.chat("c", "hello").await;
    world
        .warm(async || world.conversation(sent.conversation_id).await)
        .await;
    let by_name = ConversationRef::ExternalId("c".to_owned());
    let read = world.app.conversation(&world.owner, &by_name, None).await;
    assert_eq!(read.unwrap().source, Source::Database);
}

/// The source of a batch is the slowest one used.
async fn a_batch_is_read_from_all_tiers(backend: Backend) {
    let world = World::new(Db::sqlite().await, backend).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(world.chat("c", &format!("body {n}")).await.id);
    }
    let read = async |ids: &[MessageId]| {
        let read = world.app.messages(&world.owner, ids.to_vec(), None).await;
        read.unwrap()
    };
    let cached = world
        .while_open(async || {
            for id in &ids[..2] {
                world.warm(async || world.message(*id).await).await;
            }
            read(&ids[..2]).await
        })
        .await;
    assert_ne!(cached.source, Source::Database);

    let unknown = MessageId::from_uuid(uuid::Uuid::from_u128(7));
    let requested = [ids[3], ids[0], unknown, ids[3], ids[1], ids[4]];
    let mixed = read(&requested).await;
    assert_eq!(mixed.source, Source::Database);
    assert_eq!(mixed.value.missing, [unknown]);
    let bodies: Vec<bool> = mixed
        .value
        .messages
        .iter()
        .zip([3, 0, 3, 1, 4])
        .map(|(answer, n)| shown(answer).contains(&format!("body {n}")))
        .collect();
    assert_eq!(bodies, [true; 5], "in the order of the request");

    // The values read from the database were cached.
    let one = world
        .while_open(async || {
            let three = [ids[3], ids[4], ids[0]];
            let filled = world.warm(async || read(&three).await).await;
            assert_eq!(filled.value.messages.len(), 3);
            world.message(ids[4]).await
        })
        .await;
    assert_ne!(one.source, Source::Database, "as if it had been read alone");
    assert!(read(&[]).await.value.messages.is_empty());
}

#[tokio::test]
async fn a_batch_is_read_from_memory_and_database() {
    a_batch_is_read_from_all_tiers(Backend::Memory).await;
}

#[tokio::test]
async fn a_batch_is_read_from_redis_and_database() {
    a_batch_is_read_from_all_tiers(Backend::Redis).await;
}

#[tokio::test]
async fn a_batch_is_read_from_all_three() {
    a_batch_is_read_from_all_tiers(Backend::Hybrid).await;
}
