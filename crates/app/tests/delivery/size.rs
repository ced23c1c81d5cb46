//! What is large, slow, late or broken holds up neither memory nor the rest.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use parlance_app::conversations::import::{Brought, OldConversation, OldMessage, OldPart};
use parlance_app::events::{Watch, Watcher};
use parlance_app::messages::{DeleteMessage, NewMessage, Place, ReceiveMessage};
use parlance_app::{App, Environment, JanitorPart, Reason, Result, Settings, SystemRandom};
use parlance_domain::message::Progress;
use parlance_domain::{
    Address, Channel, Conversation, ConversationStatus, Direction, EventType, Json, Message,
    MessageId, Timestamp,
};

use crate::support::world::{OURS, number};
use crate::support::{HOUR, Kind, Outgoing, World};

async fn receive(world: &World, id: &str, received_at: Option<Timestamp>) -> Result<Message> {
    let request = ReceiveMessage {
        request_id: None,
        message: NewMessage {
            place: Place::Pair {
                channel: Channel::Sms,
                ours: Address::ours(Channel::Sms, OURS).unwrap(),
                theirs: Address::origin(Channel::Sms, &number(1)).unwrap(),
                user: String::new(),
            },
            role: None,
            cc_addresses: Vec::new(),
            subject: String::new(),
            body: id.to_owned(),
            html_body: String::new(),
            attachments: Vec::new(),
            tokens_used: None,
            latency_ms: None,
            metadata: Json::default(),
        },
        provider: "p".to_owned(),
        provider_message_id: id.to_owned(),
        received_at,
    };
    let received = world.front.receive_message(&world.owner, request).await?;
    Ok(received.value)
}

async fn delete(world: &World, message: &Message) {
    let id = message.id;
    let request = DeleteMessage { id, etag: None };
    world
        .front
        .delete_message(&world.owner, request)
        .await
        .unwrap();
}

async fn conversation(world: &World, of: &Message) -> Conversation {
    let found = world
        .front
        .database()
        .conversation(&world.owner, of.conversation_id)
        .await;
    found.unwrap().unwrap()
}

/// An instance whose watchers share little memory.
async fn tight(world: &World, watch_bytes: u64) -> Arc<App> {
    let env = Environment::new(world.clock.another(), SystemRandom);
    let db = world.database_for_another().await;
    let cache = parlance_app::cache::none(&db, &env);
    let settings = Settings {
        watch_bytes,
        ..Settings::default()
    };
    App::new(db, cache, settings, env)
}

async fn watch(app: &App, world: &World, cursor: &str) -> Watcher {
    let request = Watch {
        types: vec![EventType::MessageCreated],
        cursor: cursor.to_owned(),
        ..Watch::default()
    };
    app.watch(&world.owner, request).await.unwrap()
}

/// The messages of the next events up to one, and how often the watcher was too slow and resumed.
async fn until(
    app: &App,
    world: &World,
    mut watcher: Watcher,
    last: MessageId,
) -> (Vec<MessageId>, usize) {
    let (mut seen, mut resumed) = (Vec::new(), 0);
    while seen.last() != Some(&last) {
        match watcher.next().await.unwrap() {
            Ok(watched) => seen.extend(watched.event.and_then(|event| event.message_id)),
            Err(error) => {
                assert_eq!(error.reason, Reason::WatcherTooSlow);
                let cursor = error.metadata["cursor"].clone();
                watcher = watch(app, world, &cursor).await;
                resumed += 1;
            }
        }
    }
    (seen, resumed)
}

/// An old conversation with the customer of number 1, whose messages a provider carried under these ids.
fn old(external_id: &str, carried: &[&str]) -> Brought {
    let message = |id: &&str| OldMessage {
        channel: Channel::Sms,
        direction: Direction::Inbound,
        role: None,
        cc_addresses: Vec::new(),
        subject: String::new(),
        body: (*id).to_owned(),
        html_body: String::new(),
        attachments: Vec::new(),
        carried: Some(("p".to_owned(), (*id).to_owned())),
        progress: Progress::received(),
        tokens_used: None,
        latency_ms: None,
        metadata: Json::default(),
        created_at: None,
    };
    let ours = Address::ours(Channel::Sms, OURS).unwrap();
    let theirs = Address::recipient(Channel::Sms, &number(1)).unwrap();
    Brought {
        external_id: external_id.to_owned(),
        messages: carried.len(),
        bytes: 100,
        part: Ok(OldPart {
            conversation: OldConversation {
                external_id: external_id.to_owned(),
                channel: Channel::Sms,
                addresses: Some((ours, theirs)),
                user: String::new(),
                title: String::new(),
                status: ConversationStatus::Active,
                metadata: Json::default(),
                created_at: None,
            },
            offset: None,
            messages: carried.iter().map(message).collect(),
        }),
    }
}

on_both! {
    /// What was refused takes neither its addresses nor its providers' ids from a later part of the same batch.
    async fn a_refused_part_of_an_import_leaves_the_later_ones_alone(world: World) {
        let there = receive(&world, "taken", None).await.unwrap();
        world.db.run("UPDATE conversations SET status = 'closed'").await;
        // The first is written alone; the others have its addresses and so wait for it together.
        let parts = [old("first", &["taken"]), old("a", &["1", "taken"]), old("b", &["1", "2"])];
        let parts = stream::iter(parts.map(Ok::<_, std::convert::Infallible>));
        let imported = world.front.import_conversations(&world.owner, parts).await.unwrap();
        let refused: Vec<_> = imported.errors.iter().map(|one| (one.index, one.error.reason)).collect();
        assert_eq!(refused, [0, 1].map(|index| (index, Reason::ProviderMessageIdTaken)), "{there:?}");
        assert_eq!((imported.conversations, imported.messages), (1, 2));
    }

    /// Eight watchers that hardly read: their events stay within the budget, and each sees all of them in the end.
    async fn slow_watchers_share_one_budget(world: World) {
        const LIMIT: u64 = 64 * 1024;
        let app = tight(&world, LIMIT).await;
        let large = || "x".repeat(1_500);
        let mut sent = Vec::new();
        for n in 0..60 {
            sent.push(world.send(Outgoing::to(n % 3).body(large())).await.id);
        }
        let mut largest = 0;
        let mut check = || {
            largest = largest.max(app.feed_status().buffered_bytes);
            assert!(largest <= LIMIT, "{largest} bytes");
        };
        let mut slow = Vec::new();
        for _ in 0..8 {
            let mut watcher = watch(&app, &world, "0").await;
            let first = watcher.next().await.unwrap().unwrap();
            assert_eq!(first.event.unwrap().message_id, Some(sent[0]));
            check();
            slow.push(watcher);
        }
        let mut quick = watch(&app, &world, "").await;
        for n in 0..60 {
            let message = world.send(Outgoing::to(n % 3).body(large())).await.id;
            sent.push(message);
            let watched = quick.next().await.unwrap().unwrap();
            assert_eq!(watched.event.unwrap().message_id, Some(message), "the quick one is not held up");
            check();
        }
        assert!(largest > LIMIT / 2, "{largest} bytes: they filled it");
        let last = *sent.last().unwrap();
        for watcher in slow {
            let (seen, resumed) = until(&app, &world, watcher, last).await;
            assert_eq!(seen, sent[1..], "resumed {resumed} times");
        }
        drop(quick);
        assert_eq!(app.feed_status().buffered_bytes, 0);
    }

    /// A deletion that fails each time is counted, and the next one is finished all the same.
    async fn an_item_that_fails_does_not_stop_the_upkeep(world: World) {
        let first = world.send(Outgoing::to(1)).await;
        world.clock.advance(Duration::from_secs(1));
        let second = world.send(Outgoing::to(2)).await;
        let id = world.db.id(first.conversation_id);
        world.db.run(&match world.db.kind {
            Kind::Postgres => format!(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$; \
                 CREATE TRIGGER refuse BEFORE DELETE ON messages FOR EACH ROW WHEN (OLD.conversation_id = {id}) EXECUTE FUNCTION refuse(); \
                 UPDATE conversations SET deleted_at = created_at"
            ),
            Kind::Sqlite => format!(
                "CREATE TRIGGER refuse BEFORE DELETE ON messages WHEN OLD.conversation_id = {id} BEGIN SELECT RAISE(ABORT, 'refused'); END; \
                 UPDATE conversations SET deleted_at = created_at"
            ),
        }).await;
        world.clock.advance(HOUR);
        world.front.maintain(JanitorPart::Deletions).await.unwrap();
        let left = world.db.count("conversations").await;
        assert_eq!(left, 1, "{} is gone", second.conversation_id);
        assert_eq!(world.front.janitor_failures(JanitorPart::Deletions), 1);
        assert_eq!(world.front.janitor_failures(JanitorPart::Uploads), 0);
    }

    async fn a_deleted_message_does_not_come_back(world: World) {
        let first = receive(&world, "1", None).await.unwrap();
        assert_eq!(receive(&world, "1", None).await.unwrap(), first, "brought twice");
        delete(&world, &first).await;
        assert_eq!(receive(&world, "1", None).await.unwrap_err().reason, Reason::MessageNotFound);
        let second = receive(&world, "2", None).await.unwrap();
        world.front.delete_conversation(&world.owner, second.conversation_id, None).await.unwrap();
        for id in ["1", "2"] {
            assert_eq!(receive(&world, id, None).await.unwrap_err().reason, Reason::MessageNotFound);
        }
        assert_eq!(world.db.count("messages").await, 0);
        world.clock.advance(HOUR * 24 * 31);
        world.front.maintain(JanitorPart::DeletedMessages).await.unwrap();
        assert_eq!(world.db.count("deleted_messages").await, 0);
        receive(&world, "2", None).await.unwrap();
    }

    /// Not the time of the message with the highest sequence, which a provider brought late.
    async fn a_deletion_leaves_the_newest_time(world: World) {
        let now = world.now();
        let newest = receive(&world, "1", None).await.unwrap();
        for (id, hours) in [("2", 1), ("3", 2)] {
            receive(&world, id, Some(now.minus(HOUR * hours))).await.unwrap();
        }
        assert_eq!(conversation(&world, &newest).await.last_message_at, Some(now));
        delete(&world, &newest).await;
        assert_eq!(conversation(&world, &newest).await.last_message_at, Some(now.minus(HOUR)));
    }

    /// Where thousands are unread they are not counted anew for one that goes.
    async fn a_deletion_among_many_unread_messages_counts_itself(world: World) {
        let mut received = Vec::new();
        for n in 0..4 {
            received.push(receive(&world, &n.to_string(), None).await.unwrap());
        }
        delete(&world, &received[0]).await;
        assert_eq!(conversation(&world, &received[0]).await.unread_count, 3);
        world.db.run("UPDATE conversations SET unread_count = 5000").await;
        delete(&world, &received[1]).await;
        assert_eq!(conversation(&world, &received[1]).await.unread_count, 4999);
        world.db.run("UPDATE conversations SET unread_count = 4").await;
        delete(&world, &received[2]).await;
        assert_eq!(conversation(&world, &received[2]).await.unread_count, 1, "a few are counted");
    }
}
