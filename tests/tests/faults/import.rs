//! The service is killed during an import, and the import is repeated.

use futures_util::stream::{self, Stream, StreamExt as _};
use parlance_proto::v1;
use parlance_testkit::eventually;
use parlance_tests::make::imported_chat;
use parlance_tests::{Caller, Kind, SOON, Service};

const CHATS: usize = 150;
const PARTS: usize = 4;
const EACH: usize = 15;

/// Chats, each in several parts.
fn chats() -> Vec<v1::ImportConversationsRequest> {
    let part = |chat: usize, part: usize| {
        let bodies: Vec<String> = (part * EACH..(part + 1) * EACH)
            .map(|number| format!("{chat} {number}"))
            .collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        imported_chat(&format!("chat {chat}"), &bodies)
    };
    (0..CHATS)
        .flat_map(|chat| (0..PARTS).map(move |number| part(chat, number)))
        .collect()
}

/// A stream without the last of the parts, and without an end: the importer waits for more parts until the service is
/// killed.
fn without_end() -> impl Stream<Item = v1::ImportConversationsRequest> {
    let mut parts = chats();
    parts.truncate(parts.len() / 10 * 9);
    stream::iter(parts).chain(stream::pending())
}

async fn killed_during_an_import(kind: Kind) {
    let mut service = Service::start(kind).await;
    let caller = Caller::at(&service);
    let all = i64::try_from(CHATS * PARTS * EACH).unwrap();
    let mut stored = 0;
    // Twice: the second run starts from a partial import.
    for share in [5, 2] {
        let watcher = Caller::as_owner(&service, caller.owner());
        let killing = async {
            eventually(SOON, async || {
                (watcher.stats("").await.message_count > all / share).then_some(())
            })
            .await;
            service.kill9();
        };
        let importer = Caller::as_owner(&service, caller.owner());
        let (broken, ()) = tokio::join!(importer.import_stream(without_end()), killing);
        broken.unwrap_err();
        service.start_again().await;
        let caller = Caller::as_owner(&service, caller.owner());
        let stats = caller.stats("").await;
        assert!(stats.message_count >= stored && stats.message_count < all);
        assert_eq!(stats, caller.stats_by_reading("").await);
        stored = stats.message_count;
    }

    let caller = Caller::as_owner(&service, caller.owner());
    let (_, added, skipped) = caller.imported(chats()).await;
    assert_eq!((added, skipped), (all - stored, stored));
    for chat in 0..CHATS {
        let found = caller.by_external_id(&format!("chat {chat}")).await;
        let messages = caller.all_messages(&found.id).await;
        let expected = (0..PARTS * EACH).map(|number| format!("{chat} {number}"));
        assert!(
            messages
                .iter()
                .map(|message| &message.body)
                .eq(&expected.collect::<Vec<_>>())
        );
        assert!(
            messages
                .iter()
                .zip(1..)
                .all(|(message, sequence)| message.sequence == sequence)
        );
    }
    assert_eq!(caller.stats("").await, caller.stats_by_reading("").await);
    let found = caller.ok(parlance_tests::make::search("149 59")).await;
    assert_eq!(found.results.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_an_import_sqlite() {
    killed_during_an_import(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_during_an_import_postgres() {
    killed_during_an_import(Kind::Postgres).await;
}
