//! Large, slow, late or broken items neither exhaust memory nor delay others.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use parlance_app::conversations::import::{IncomingPart, OldConversation, OldMessage, OldPart};
use parlance_app::events::{Watch, Watcher};
use parlance_app::messages::{ConversationTarget, DeleteMessage, NewMessage, ReceiveMessage};
use parlance_app::{App, Environment, JanitorPart, Reason, Result, Settings, SystemRandom};
use parlance_domain::message::{Content, Progress};
use parlance_domain::{
    Address, Attachment, AttachmentId, Channel, Conversation, ConversationStatus, Direction,
    EventType, Json, Message, MessageId, Timestamp,
};
use parlance_storage::DatabaseUrl;

use crate::support::world::{OURS, number};
use crate::support::{Db, HOUR, Kind, Outgoing, SOON, World};

async fn receive(world: &World, id: &str, received_at: Option<Timestamp>) -> Result<Message> {
    let request = ReceiveMessage {
        request_id: None,
        message: NewMessage {
            target: ConversationTarget::Pair {
                channel: Channel::Sms,
                ours: Address::ours(Channel::Sms, OURS).unwrap(),
                theirs: Address::origin(Channel::Sms, &number(1)).unwrap(),
                user: String::new(),
            },
            content: Content {
                body: id.to_owned(),
                ..Content::default()
            },
            attachments: Vec::new(),
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
    let conversation = world
        .front
        .database()
        .conversation(&world.owner, of.conversation_id)
        .await;
    conversation.unwrap().unwrap()
}

/// Starts an instance with a small memory budget for watchers.
async fn with_watch_bytes(world: &World, watch_bytes: u64) -> Arc<App> {
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

/// Returns the messages of the next events up to a given one, and how often the watcher was too slow and resumed.
async fn read_until(
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

/// An existing conversation with customer 1 to import, with the provider's ids of its messages.
fn existing_conversation(external_id: &str, carried: &[&str]) -> IncomingPart {
    let message = |id: &&str| OldMessage {
        channel: Channel::Sms,
        direction: Direction::Inbound,
        content: Content {
            body: (*id).to_owned(),
            ..Content::default()
        },
        attachments: Vec::new(),
        carried: Some(("p".to_owned(), (*id).to_owned())),
        progress: Progress::received(),
        created_at: None,
    };
    let ours = Address::ours(Channel::Sms, OURS).unwrap();
    let theirs = Address::recipient(Channel::Sms, &number(1)).unwrap();
    IncomingPart {
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

/// Makes the database refuse to delete some rows of a table.
pub(crate) async fn refuse_deletes(world: &World, table: &str, rows: &str) {
    world.db.run(&match world.db.kind {
        Kind::Postgres => format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$; \
             CREATE TRIGGER refuse BEFORE DELETE ON {table} FOR EACH ROW WHEN ({rows}) EXECUTE FUNCTION refuse()"
        ),
        Kind::Sqlite => format!(
            "CREATE TRIGGER refuse BEFORE DELETE ON {table} WHEN {rows} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        ),
    })
    .await;
}

/// Condition for the rows of a message's conversation, for [`refuse_deletes`].
pub(crate) fn of_conversation(world: &World, message: &Message) -> String {
    format!(
        "OLD.conversation_id = {}",
        world.db.id(message.conversation_id)
    )
}

/// Number of these rows written by each transaction, in ascending order; Postgres only.
async fn rows_of_each_transaction(world: &World, rows: &str) -> Vec<usize> {
    let counts = "SELECT CAST(count(*) AS text) AS v FROM";
    let counts = format!("{counts} {rows} GROUP BY xmin::text ORDER BY count(*)");
    let counts = world.db.texts(&counts).await;
    counts.iter().map(|count| count.parse().unwrap()).collect()
}

/// The events and messages of a long conversation are removed in short transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_deleted_in_several_transactions() {
    let world = World::new(Db::postgres().await).await;
    let first = receive(&world, "1", None).await.unwrap();
    let id = world.db.id(first.conversation_id);
    world.db.run(&format!(
        "INSERT INTO messages SELECT (jsonb_populate_record(m, jsonb_build_object( \
           'id', gen_random_uuid(), 'sequence', n, 'provider_message_id', n))).* FROM messages m, generate_series(2, 1200) n; \
         INSERT INTO feed (owner, kind, conversation_id, user_label, payload, bytes, time) \
           SELECT '{owner}', 'conversation_updated', {id}, '', '{{}}', 2, now() FROM generate_series(1, 2500)",
        owner = world.owner.as_str(),
    ))
    .await;
    let app = &world.front;
    app.delete_conversation(&world.owner, first.conversation_id, None)
        .await
        .unwrap();
    assert_eq!(world.db.count("messages").await, 0);
    assert_eq!(world.db.count("feed WHERE payload IS NOT NULL").await, 0);
    let messages = rows_of_each_transaction(&world, "deleted_messages").await;
    assert_eq!(messages, [200, 500, 500]);
    let updates = "feed WHERE kind = 'conversation_updated'";
    let updates = rows_of_each_transaction(&world, updates).await;
    assert_eq!(updates.iter().sum::<usize>(), 2_500);
    assert!(updates.iter().all(|rows| *rows <= 1_000), "{updates:?}");
}

/// A concurrent transaction has removed a referenced row; the write is retried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_refers_to_a_removed_row_is_retried() {
    let world = World::new(Db::postgres().await).await;
    world.db.run(
        "CREATE SEQUENCE attempts; \
         CREATE FUNCTION removed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF nextval('attempts') = 1 THEN RAISE foreign_key_violation; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER removed BEFORE INSERT ON deliveries FOR EACH ROW EXECUTE FUNCTION removed()",
    )
    .await;
    let sent = world.try_send(Outgoing::to(1)).await.unwrap();
    assert_eq!(sent.sequence, 1);
    let attempts = world
        .db
        .texts("SELECT last_value::text AS v FROM attempts")
        .await;
    assert_eq!(attempts, ["2"]);
    assert_eq!(world.db.count("messages").await, 1);
    assert_eq!(world.db.count("deliveries").await, 1);
}

/// The service truncates the write-ahead log of SQLite when it exceeds 64 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_janitor_bounds_the_write_ahead_log() {
    let world = World::new(Db::sqlite().await).await;
    let DatabaseUrl::Sqlite(path) = &world.db.settings.url else {
        panic!("not an SQLite database");
    };
    let log = format!("{}-wal", path.display());
    let size = || std::fs::metadata(&log).unwrap().len();
    let filler = "PRAGMA wal_autocheckpoint = 0; CREATE TABLE filler (bytes blob)".to_owned();
    let megabyte = "; INSERT INTO filler VALUES (zeroblob(1048576))";
    world.db.run(&(filler + &megabyte.repeat(70))).await;
    let limit = 64 * 1024 * 1024;
    assert!(size() > limit, "{} bytes", size());
    world.front.maintain(JanitorPart::Log).await.unwrap();
    assert!(size() <= limit, "{} bytes", size());
    assert_eq!(world.front.janitor_failures(JanitorPart::Log), 0);
}

on_both! {
    /// A failing part of the janitor is counted; the other parts still run.
    async fn a_failing_part_does_not_stop_others(world: World) {
        world.send(Outgoing::to(1)).await;
        let upload = Attachment {
            id: AttachmentId::new(world.now(), [7; 10]),
            filename: "a.png".to_owned(),
            content_type: "image/png".to_owned(),
            size_bytes: 0,
            url: None,
        };
        let database = world.front.database();
        database.begin_upload(&world.owner, &upload, world.now(), world.now()).await.unwrap();
        refuse_deletes(&world, "feed", "OLD.id > 0").await;
        world.clock.advance(HOUR * 24 * 2);
        let janitor = tokio::spawn(Arc::clone(&world.front).run_janitor());
        parlance_testkit::eventually(SOON, async || {
            let failed = world.front.janitor_failures(JanitorPart::Feed) > 0;
            (failed && world.db.count("attachments").await == 0).then_some(())
        })
        .await;
        assert_eq!(world.front.janitor_failures(JanitorPart::Uploads), 0);
        world.front.go_down();
        janitor.await.unwrap();
    }

    /// A conversation that cannot be indexed is counted, and the next one is indexed.
    async fn a_conversation_that_cannot_be_indexed_is_skipped(world: World) {
        let first = world.send(Outgoing::to(1)).await;
        // Ids ascend with time, and conversations are indexed in the order of their ids.
        world.clock.advance(Duration::from_secs(1));
        world.send(Outgoing::to(2)).await;
        world.db.run("INSERT INTO search_pending (conversation_id, owner, below) SELECT id, owner, 1 FROM conversations").await;
        refuse_deletes(&world, "search_pending", &of_conversation(&world, &first)).await;
        world.front.maintain(JanitorPart::SearchIndex).await.unwrap();
        assert_eq!(world.db.count("search_pending").await, 1);
        assert_eq!(world.front.janitor_failures(JanitorPart::SearchIndex), 1);
    }

    /// A refused part reserves neither its addresses nor its provider ids, which a later part of the same batch may
    /// use.
    async fn a_refused_part_of_an_import_does_not_affect_later_parts(world: World) {
        let existing = receive(&world, "taken", None).await.unwrap();
        world.db.run("UPDATE conversations SET status = 'closed'").await;
        // The first part is written alone; the others have the same addresses and therefore wait for it together.
        let parts = [existing_conversation("first", &["taken"]), existing_conversation("a", &["1", "taken"]), existing_conversation("b", &["1", "2"])];
        let parts = stream::iter(parts.map(Ok::<_, std::convert::Infallible>));
        let imported = world.front.import_conversations(&world.owner, parts).await.unwrap();
        let refused: Vec<_> = imported.errors.iter().map(|one| (one.index, one.error.reason)).collect();
        assert_eq!(refused, [0, 1].map(|index| (index, Reason::ProviderMessageIdTaken)), "{existing:?}");
        assert_eq!((imported.conversations, imported.messages), (1, 2));
    }

    /// Eight slow watchers: their events stay within the budget, and each receives all events in the end.
    async fn slow_watchers_share_one_budget(world: World) {
        const LIMIT: u64 = 64 * 1024;
        let app = with_watch_bytes(&world, LIMIT).await;
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
        let mut fast = watch(&app, &world, "").await;
        for n in 0..60 {
            let message = world.send(Outgoing::to(n % 3).body(large())).await.id;
            sent.push(message);
            let watched = fast.next().await.unwrap().unwrap();
            assert_eq!(watched.event.unwrap().message_id, Some(message), "the fast watcher is not delayed");
            check();
        }
        assert!(largest > LIMIT / 2, "{largest} bytes: the watchers filled the budget");
        let last = *sent.last().unwrap();
        for watcher in slow {
            let (seen, resumed) = read_until(&app, &world, watcher, last).await;
            assert_eq!(seen, sent[1..], "resumed {resumed} times");
        }
        drop(fast);
        assert_eq!(app.feed_status().buffered_bytes, 0);
    }

    /// A deletion that fails each time is counted, and the next one is completed.
    async fn a_failing_deletion_does_not_stop_the_others(world: World) {
        let first = world.send(Outgoing::to(1)).await;
        world.clock.advance(Duration::from_secs(1));
        let second = world.send(Outgoing::to(2)).await;
        refuse_deletes(&world, "messages", &of_conversation(&world, &first)).await;
        world.db.run("UPDATE conversations SET deleted_at = created_at").await;
        world.clock.advance(HOUR);
        world.front.maintain(JanitorPart::Deletions).await.unwrap();
        let left = world.db.count("conversations").await;
        assert_eq!(left, 1, "{} is gone", second.conversation_id);
        assert_eq!(world.front.janitor_failures(JanitorPart::Deletions), 1);
        assert_eq!(world.front.janitor_failures(JanitorPart::Uploads), 0);
    }

    async fn a_deleted_message_is_not_stored_again(world: World) {
        let first = receive(&world, "1", None).await.unwrap();
        assert_eq!(receive(&world, "1", None).await.unwrap(), first, "received twice");
        delete(&world, &first).await;
        assert_eq!(receive(&world, "1", None).await.unwrap_err().reason, Reason::MessageNotFound);
        let second = receive(&world, "2", None).await.unwrap();
        world.front.delete_conversation(&world.owner, second.conversation_id, None).await.unwrap();
        for id in ["1", "2"] {
            assert_eq!(receive(&world, id, None).await.unwrap_err().reason, Reason::MessageNotFound);
        }
        assert_eq!(world.db.count("messages").await, 0);
        world.clock.advance(HOUR * 24 * 29);
        world.front.maintain(JanitorPart::DeletedMessages).await.unwrap();
        for id in ["1", "2"] {
            assert_eq!(receive(&world, id, None).await.unwrap_err().reason, Reason::MessageNotFound, "after 29 days");
        }
        world.clock.advance(HOUR * 24 * 2);
        world.front.maintain(JanitorPart::DeletedMessages).await.unwrap();
        assert_eq!(world.db.count("deleted_messages").await, 0);
        receive(&world, "2", None).await.unwrap();
    }

    /// Not the time of the message with the highest sequence, which arrived late from a provider.
    async fn a_deletion_updates_the_newest_time(world: World) {
        let now = world.now();
        let newest = receive(&world, "1", None).await.unwrap();
        for (id, hours) in [("2", 1), ("3", 2)] {
            receive(&world, id, Some(now.minus(HOUR * hours))).await.unwrap();
        }
        assert_eq!(conversation(&world, &newest).await.last_message_at, Some(now));
        delete(&world, &newest).await;
        assert_eq!(conversation(&world, &newest).await.last_message_at, Some(now.minus(HOUR)));
    }

    /// With thousands of unread messages the count is decremented, not recounted.
    async fn a_deletion_among_many_unread_messages_decrements_the_count(world: World) {
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
