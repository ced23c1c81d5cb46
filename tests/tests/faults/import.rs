//! The service is killed in the middle of an import, and the same is imported again.

use futures_util::stream::{self, Stream, StreamExt as _};
use parlance_proto::v1;
use parlance_testkit::eventually;
use parlance_tests::make::old_chat;
use parlance_tests::{Caller, Kind, SOON, Service};

const CHATS: usize = 150;
const PARTS: usize = 4;
const EACH: usize = 15;

/// Chats, each in parts.
fn old() -> Vec<v1::ImportConversationsRequest> {
    let part = |chat: usize, part: usize| {
        let said: Vec<String> = (part * EACH..(part + 1) * EACH)
            .map(|place| format!("{chat} {place}"))
            .collect();
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        old_chat(&format!("chat {chat}"), &said)
    };
    (0..CHATS)
        .flat_map(|chat| (0..PARTS).map(move |number| part(chat, number)))
        .collect()
}

/// Without the last of it: whoever brings it waits for the rest, and is at it for as long as there is a service.
fn without_end() -> impl Stream<Item = v1::ImportConversationsRequest> {
    let mut old = old();
    old.truncate(old.len() / 10 * 9);
    stream::iter(old).chain(stream::pending())
}

async fn in_the_middle_of_an_import(kind: Kind) {
    let mut service = Service::start(kind).await;
    let caller = Caller::at(&service);
    let all = i64::try_from(CHATS * PARTS * EACH).unwrap();
    let mut there = 0;
    // Twice: what was completed once can be half of it again.
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
        let (broken, ()) = tokio::join!(importer.import_as_it_comes(without_end()), killing);
        broken.unwrap_err();
        service.start_again().await;
        let caller = Caller::as_owner(&service, caller.owner());
        let left = caller.stats("").await;
        assert!(left.message_count >= there && left.message_count < all);
        assert_eq!(left, caller.stats_by_reading("").await);
        there = left.message_count;
    }

    let caller = Caller::as_owner(&service, caller.owner());
    let (_, added, skipped) = caller.imported(old()).await;
    assert_eq!((added, skipped), (all - there, there));
    for chat in 0..CHATS {
        let found = caller.named(&format!("chat {chat}")).await;
        let messages = caller.all_messages(&found.id).await;
        let expected = (0..PARTS * EACH).map(|place| format!("{chat} {place}"));
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
                .all(|(message, place)| message.sequence == place)
        );
    }
    assert_eq!(caller.stats("").await, caller.stats_by_reading("").await);
    let found = caller.ok(parlance_tests::make::search("149 59")).await;
    assert_eq!(found.results.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_an_import_sqlite() {
    in_the_middle_of_an_import(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_an_import_postgres() {
    in_the_middle_of_an_import(Kind::Postgres).await;
}
