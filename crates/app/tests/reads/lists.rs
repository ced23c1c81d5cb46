//! The newest messages of a conversation.

use parlance_app::cache::Source;
use parlance_app::delivery::CancelMessage;
use parlance_app::messages::{DeleteMessage, ListMessages, MessageEdit, MessageRef, StatusReport};
use parlance_app::{PageRequest, Reason};
use parlance_cache::Backend;
use parlance_domain::message::ReportStatus;
use parlance_domain::{Json, Message, Owner};

use crate::db::Db;
use crate::world::{World, list, shown};

/// Everything that changes a cached list.
async fn a_cached_list_is_extended_and_invalidated(backend: Backend) {
    let world = World::new(Db::sqlite().await, backend).await;
    let first = world.text(1, "first").await;
    let conversation = first.conversation_id;
    let warm = async || {
        let page = world.warm(async || world.newest(conversation).await).await;
        page.value.items.len()
    };
    assert_eq!(warm().await, 1);

    let mut sent = vec![first.clone()];
    let page = world
        .while_open(async || {
            assert_eq!(warm().await, sent.len());
            sent.push(world.text(1, "next").await);
            world.newest(conversation).await
        })
        .await;
    assert_ne!(
        page.source,
        Source::Database,
        "it was prepended to the cached list"
    );
    let count = sent.len();
    assert_eq!(page.value.items.len(), count);
    assert!(shown(&page.value.items[0]).contains(&sent[count - 1].id.to_string()));

    let owner = &world.owner;
    let invalidated = async |what: &str, expected: usize| {
        let page = world.newest(conversation).await;
        assert_eq!(page.source, Source::Database, "after {what}");
        assert_eq!(page.value.items.len(), expected, "after {what}");
        assert_eq!(warm().await, expected);
    };
    let edit = MessageEdit {
        id: first.id,
        etag: None,
        metadata: Some(Json::from_text("{\"a\":1}".to_owned())),
        body: None,
        send_at: None,
        expires_at: None,
    };
    world.app.edit_message(owner, edit).await.unwrap();
    invalidated("an edit", count).await;
    let report = StatusReport {
        which: MessageRef::Id(first.id),
        status: ReportStatus::Delivered,
        error: None,
        occurred_at: None,
    };
    world.app.report_status(owner, report).await.unwrap();
    invalidated("a report", count).await;
    let (id, etag) = (sent[count - 1].id, None);
    let delete = DeleteMessage { id, etag };
    world.app.delete_message(owner, delete).await.unwrap();
    invalidated("a deletion", count - 1).await;

    let last = world.text(1, "last").await;
    let above = sent[count - 1].sequence + 1;
    assert_eq!(last.sequence, above, "a gap below");
    let page = world.newest(conversation).await;
    // The cached list starts below the gap, so this message is not prepended to it.
    assert_eq!(page.value.items.len(), count);
}

#[tokio::test]
async fn a_cached_list_is_extended_and_invalidated_in_memory() {
    a_cached_list_is_extended_and_invalidated(Backend::Memory).await;
}

#[tokio::test]
async fn a_cached_list_is_extended_and_invalidated_in_redis() {
    a_cached_list_is_extended_and_invalidated(Backend::Redis).await;
}

#[tokio::test]
async fn a_cached_list_is_extended_and_invalidated_in_both() {
    a_cached_list_is_extended_and_invalidated(Backend::Hybrid).await;
}

/// The message is being handed over.
#[tokio::test]
async fn a_refused_change_leaves_the_cached_lists() {
    let world = World::new(Db::sqlite().await, Backend::Memory).await;
    let id = world.text(1, "first").await.id;
    world
        .db
        .run("UPDATE deliveries SET state = 'claimed'")
        .await;
    let warm = async || world.warm(async || world.listed(None).await).await;

    let source = world
        .while_open(async || {
            warm().await;
            let cancel = world.app.cancel_message(&world.owner, CancelMessage { id });
            assert_eq!(cancel.await.unwrap_err().reason, Reason::MessageInFlight);
            world.listed(None).await.source
        })
        .await;
    assert_eq!(source, Source::Memory, "after a cancellation");

    world
        .db
        .run("UPDATE messages SET status = 'scheduled'")
        .await;
    let edit = MessageEdit {
        id,
        etag: None,
        metadata: None,
        body: Some("too late".to_owned()),
        send_at: None,
        expires_at: None,
    };
    let source = world
        .while_open(async || {
            warm().await;
            let edited = world.app.edit_message(&world.owner, edit.clone());
            assert_eq!(edited.await.unwrap_err().reason, Reason::MessageInFlight);
            world.listed(None).await.source
        })
        .await;
    assert_eq!(source, Source::Memory, "after an edit");
}

/// Pages of every size, with and without a total, from both instances: same messages and same tokens.
async fn check_pages(world: &World, messages: &[Message]) {
    let conversation = messages[0].conversation_id;
    for size in [0, 1, 2, 19, 49, 50, 51, 200] {
        for with_total in [false, true] {
            let mut token = String::new();
            loop {
                let request = ListMessages {
                    page: PageRequest { size, token },
                    with_total,
                    ..list(conversation, size)
                };
                let cached = world.app.list_messages(&world.owner, request.clone(), None);
                let plain = world.plain.list_messages(&world.owner, request, None);
                let (cached, plain) = (cached.await.unwrap(), plain.await.unwrap());
                assert_eq!(plain.source, Source::Database);
                let texts = |page: &parlance_app::Page<_>| -> Vec<String> {
                    page.items.iter().map(shown).collect()
                };
                assert_eq!(texts(&cached.value), texts(&plain.value));
                assert_eq!(
                    cached.value.next_page_token, plain.value.next_page_token,
                    "{size}"
                );
                assert_eq!(cached.value.total_size, plain.value.total_size);
                token = plain.value.next_page_token;
                // With pages of one message, all pages after the first are alike.
                if token.is_empty() || size == 1 {
                    break;
                }
            }
        }
    }
}

async fn pages_continue_in_the_database(backend: Backend) {
    let world = World::new(Db::sqlite().await, backend).await;
    let mut messages = Vec::new();
    for count in [1, 49, 50, 51, 60] {
        while messages.len() < count {
            let body = "x".repeat(messages.len());
            messages.push(world.chat("c", &body).await);
        }
        world
            .warm(async || world.newest(messages[0].conversation_id).await)
            .await;
        check_pages(&world, &messages).await;
    }
    // The oldest are deleted: fifty remain, and nothing follows the last of them although its number is not 1.
    for message in &messages[..10] {
        let (id, etag) = (message.id, None);
        let delete = DeleteMessage { id, etag };
        world
            .app
            .delete_message(&world.owner, delete)
            .await
            .unwrap();
    }
    world
        .warm(async || world.newest(messages[0].conversation_id).await)
        .await;
    check_pages(&world, &messages).await;
    // One more message moves one out of the list, so that the list has a successor again.
    messages.push(world.chat("c", "on top").await);
    check_pages(&world, &messages).await;
}

#[tokio::test]
async fn pages_continue_from_memory_in_the_database() {
    pages_continue_in_the_database(Backend::Memory).await;
}

#[tokio::test]
async fn pages_continue_from_redis_in_the_database() {
    pages_continue_in_the_database(Backend::Redis).await;
}

/// A page ends after the message with which it reaches its byte limit, from either source.
#[tokio::test]
async fn a_page_of_large_messages_has_the_same_limit() {
    let world = World::new(Db::sqlite().await, Backend::Memory).await;
    let mut messages = Vec::new();
    for count in [18, 24] {
        while messages.len() < count {
            messages.push(world.chat("c", &"x".repeat(50_000)).await);
        }
        // The list was cached while it was small enough, and then grew.
        let conversation = messages[0].conversation_id;
        world.warm(async || world.newest(conversation).await).await;
        check_pages(&world, &messages).await;
    }
    let page = world.newest(messages[0].conversation_id).await;
    assert_eq!((page.source, page.value.items.len()), (Source::Memory, 21));
}

#[tokio::test]
async fn other_pages_than_the_newest_use_the_database() {
    let world = World::new(Db::sqlite().await, Backend::Memory).await;
    let conversation = world.chat("c", "one").await.conversation_id;
    world.chat("c", "two").await;
    world.warm(async || world.newest(conversation).await).await;
    let first = list(conversation, 10);
    for (request, expected) in [
        (first.clone(), Source::Memory),
        (
            ListMessages {
                oldest_first: true,
                ..first.clone()
            },
            Source::Database,
        ),
        (
            ListMessages {
                after_sequence: 1,
                ..first.clone()
            },
            Source::Database,
        ),
        (list(conversation, 51), Source::Database),
    ] {
        let page = world
            .app
            .list_messages(&world.owner, request.clone(), None)
            .await;
        assert_eq!(page.unwrap().source, expected, "{request:?}");
    }
    let with_total = ListMessages {
        with_total: true,
        ..first
    };
    let read = async || {
        let page = world
            .app
            .list_messages(&world.owner, with_total.clone(), None)
            .await;
        page.unwrap()
    };
    let page = world.warm(read).await;
    assert_eq!(
        (page.source, page.value.total_size),
        (Source::Memory, Some(2))
    );
}

#[tokio::test]
async fn an_empty_conversation_exists_and_an_unknown_one_does_not() {
    let world = World::new(Db::sqlite().await, Backend::Memory).await;
    let sent = world.chat("c", "gone").await;
    let (id, etag) = (sent.id, None);
    let delete = DeleteMessage { id, etag };
    world
        .app
        .delete_message(&world.owner, delete)
        .await
        .unwrap();
    for _ in 0..2 {
        let page = world.newest(sent.conversation_id).await;
        assert_eq!((page.source, page.value.items.len()), (Source::Database, 0));
        assert_eq!(page.value.next_page_token, "");
    }
    let stranger = Owner::parse("stranger").unwrap();
    let request = list(sent.conversation_id, 0);
    let error = world
        .app
        .list_messages(&stranger, request, None)
        .await
        .unwrap_err();
    assert_eq!(error.reason.as_str(), "CONVERSATION_NOT_FOUND");
}
