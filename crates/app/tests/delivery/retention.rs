//! Retention: aged messages are deleted; messages that are still to be delivered stay, regardless of their age.

use std::sync::Arc;
use std::time::Duration;

use parlance_app::{App, Environment, JanitorPart, Settings, SystemRandom};
use parlance_domain::{EventType, Message, MessageStatus};

use crate::size::{of_conversation, refuse_deletes};
use crate::support::{Db, HOUR, Outgoing, World, pace};

const DAY: Duration = Duration::from_hours(24);

/// Starts an instance with a retention of 30 days.
async fn with_retention(world: &World) -> Arc<App> {
    let env = Environment::new(world.clock.another(), SystemRandom);
    let db = world.database_for_another().await;
    let cache = parlance_app::cache::none(&db, &env);
    let settings = Settings {
        retention: Some(DAY * 30),
        ..Settings::default()
    };
    App::new(db, cache, settings, env)
}

/// Sets the status in the message's row only.
async fn set(world: &World, message: &Message, status: MessageStatus) {
    let id = world.db.id(message.id);
    world
        .db
        .run(&format!(
            "UPDATE messages SET status = '{}' WHERE id = {id}",
            status.as_str()
        ))
        .await;
}

/// A transaction locks a long conversation for at most 50 messages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_transaction_deletes_at_most_50_messages() {
    let world = World::new(Db::postgres().await).await;
    let app = with_retention(&world).await;
    for _ in 0..120 {
        world.send(Outgoing::to(1)).await;
    }
    world.db.run("UPDATE messages SET status = 'sent'").await;
    world.clock.advance(DAY * 31);
    assert_eq!(app.drop_aged().await.unwrap(), (120, 1));
    let dropped = world
        .db
        .texts(
            "SELECT CAST(count(*) AS text) AS v FROM feed WHERE kind = 'message_deleted' \
             GROUP BY xid ORDER BY count(*)",
        )
        .await;
    assert_eq!(dropped, ["20", "50", "50"]);
}

on_both! {
    /// A conversation with messages that cannot be deleted is counted, and the next one is processed.
    async fn messages_that_cannot_be_deleted_are_skipped(world: World) {
        let app = with_retention(&world).await;
        let mut sent = Vec::new();
        for n in 0..3 {
            sent.push(world.send(Outgoing::to(n)).await);
        }
        world.db.run("UPDATE messages SET status = 'sent'").await;
        refuse_deletes(&world, "messages", &of_conversation(&world, &sent[1])).await;
        world.clock.advance(DAY * 31);
        assert_eq!(app.drop_aged().await.unwrap(), (2, 2));
        world.message(sent[1].id).await;
        assert_eq!(world.db.count("messages").await, 1);
        assert_eq!(app.janitor_failures(JanitorPart::Retention), 1);
    }

    /// The same for conversations without messages.
    async fn conversations_that_cannot_be_deleted_are_skipped(world: World) {
        let app = with_retention(&world).await;
        let mut sent = Vec::new();
        for n in 0..3 {
            sent.push(world.send(Outgoing::to(n)).await);
        }
        world.db.run("DELETE FROM messages; UPDATE conversations SET message_count = 0").await;
        let stays = format!("OLD.id = {}", world.db.id(sent[1].conversation_id));
        refuse_deletes(&world, "conversations", &stays).await;
        world.clock.advance(DAY * 31);
        assert_eq!(app.drop_aged().await.unwrap(), (0, 2));
        assert_eq!(world.db.count("conversations").await, 1);
        assert_eq!(app.janitor_failures(JanitorPart::Retention), 1);
    }

    async fn messages_in_delivery_stay(world: World) {
        let app = with_retention(&world).await;
        let mut stay = Vec::new();
        for (n, &status) in MessageStatus::ALL.iter().enumerate() {
            let message = world.send(Outgoing::to(n)).await;
            set(&world, &message, status).await;
            let in_delivery = [
                MessageStatus::Scheduled, MessageStatus::Pending, MessageStatus::Sending, MessageStatus::Uncertain,
            ];
            if in_delivery.contains(&status) {
                stay.push(message.id);
            }
        }
        world.clock.advance(DAY * 30);
        assert_eq!(app.drop_aged().await.unwrap(), (0, 0), "none is older than a month");
        world.clock.advance(HOUR);
        let young = world.send(Outgoing::to(100)).await;
        let gone = MessageStatus::ALL.len() - stay.len();
        assert_eq!(app.drop_aged().await.unwrap(), (gone, gone), "each with its conversation");
        assert_eq!(app.drop_aged().await.unwrap(), (0, 0));
        stay.push(young.id);
        for id in &stay {
            world.message(*id).await;
        }
        assert_eq!(world.db.count("messages").await, stay.len());
        assert_eq!(world.db.count("conversations").await, stay.len());
    }

    /// Of an active conversation the old messages are deleted; an empty conversation is deleted if it was last active
    /// before the limit.
    async fn an_active_conversation_stays(world: World) {
        let app = with_retention(&world).await;
        let dispatcher = world.dispatcher(pace()).await;
        for _ in 0..120 {
            world.send(Outgoing::to(1)).await;
        }
        world.send(Outgoing::to(2)).await;
        world.until_all_left().await;
        world.clock.advance(DAY * 31);
        let last = world.send(Outgoing::to(1)).await;
        world.until_all_left().await;
        drop(dispatcher);
        assert_eq!(app.drop_aged().await.unwrap(), (121, 1));
        let stats = app.stats(&world.owner, None, None).await.unwrap().value.value().unwrap();
        assert_eq!((stats.conversations, stats.messages), (1, 1));
        assert_eq!(world.message(last.id).await.sequence, 121);
        let count = world.db.texts("SELECT CAST(message_count AS text) AS v FROM conversations").await;
        assert_eq!(count, ["1"]);
        assert_eq!(feed_events(&world, EventType::MessageDeleted).await, 121);
        assert_eq!(feed_events(&world, EventType::ConversationDeleted).await, 1);
    }

    /// Three concurrent instances delete each message once, and the counters are correct.
    async fn concurrent_instances_share_the_work(world: World) {
        let dispatcher = world.dispatcher(pace()).await;
        for n in 0..200 {
            world.send(Outgoing::to(n % 20)).await;
        }
        world.until_all_left().await;
        drop(dispatcher);
        world.clock.advance(DAY * 31);
        let mut running = Vec::new();
        for _ in 0..3 {
            let app = with_retention(&world).await;
            running.push(tokio::spawn(async move { app.drop_aged().await.unwrap() }));
        }
        let mut dropped = (0, 0);
        for one in running {
            let (messages, conversations) = one.await.unwrap();
            dropped = (dropped.0 + messages, dropped.1 + conversations);
        }
        assert_eq!(dropped, (200, 20));
        assert_eq!(world.db.count("messages").await + world.db.count("conversations").await, 0);
        assert_eq!(feed_events(&world, EventType::MessageDeleted).await, 200);
        let left = world.front.stats(&world.owner, None, None).await.unwrap();
        assert_eq!(left.value.value(), Some(parlance_app::conversations::Stats::default()));
    }
}

async fn feed_events(world: &World, kind: EventType) -> usize {
    world
        .db
        .count(&format!("feed WHERE kind = '{}'", kind.as_str()))
        .await
}
