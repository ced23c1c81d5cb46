//! Whatever happens, a read through the cache says what a read of the database says.

use parlance_app::cache::{Answer, Read};
use parlance_app::conversations::{ConversationFilter, ConversationRef, ListConversations};
use parlance_app::messages::{
    DeleteMessage, ListMessages, MessageBatch, MessageEdit, MessageRef, SearchFilter,
    SearchMessages, StatusReport,
};
use parlance_app::{App, Page, PageRequest};
use parlance_cache::Backend;
use parlance_domain::message::ReportStatus;
use parlance_domain::{ConversationStatus, Json, Message, MessageId, Owner};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::db::Db;
use crate::world::{World, list, shown, unchanged};

/// What somebody does.
#[derive(Debug, Clone)]
enum Act {
    Chat,
    Text,
    Edit(Index),
    Report(Index, ReportStatus),
    Delete(Index),
    Read(Index),
    Unread(Index),
    /// A conversation is ada's from now on, or nobody's, and has another title.
    Give(Index, bool),
    Archive(Index),
    Drop(Index),
    /// Several messages at once, since lists are cut at fifty.
    Many,
}

fn act() -> impl Strategy<Value = Act> {
    let reports = proptest::sample::select(ReportStatus::ALL);
    prop_oneof![
        4 => Just(Act::Chat),
        2 => Just(Act::Text),
        2 => any::<Index>().prop_map(Act::Edit),
        2 => (any::<Index>(), reports).prop_map(|(of, status)| Act::Report(of, status)),
        2 => any::<Index>().prop_map(Act::Delete),
        1 => any::<Index>().prop_map(Act::Read),
        1 => any::<Index>().prop_map(Act::Unread),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(of, to_ada)| Act::Give(of, to_ada)),
        1 => any::<Index>().prop_map(Act::Archive),
        1 => any::<Index>().prop_map(Act::Drop),
        1 => Just(Act::Many),
    ]
}

async fn play(world: &World, act: &Act, sent: &mut Vec<Message>) {
    let one = |of: &Index| (!sent.is_empty()).then(|| of.get(sent).clone());
    let owner = &world.owner;
    match act {
        Act::Chat => sent.push(world.chat("c", "chat").await),
        Act::Text => sent.push(world.text(1, "text").await),
        Act::Many => {
            for _ in 0..20 {
                sent.push(world.chat("c", "one of many").await);
            }
        }
        Act::Edit(of) => {
            if let Some(message) = one(of) {
                let edit = MessageEdit {
                    id: message.id,
                    etag: None,
                    metadata: Some(Json::from_text(format!("{{\"n\":{}}}", sent.len()))),
                    body: None,
                    send_at: None,
                    expires_at: None,
                };
                // It may be deleted already.
                let _ = world.app.edit_message(owner, edit).await;
            }
        }
        Act::Report(of, status) => {
            if let Some(message) = one(of) {
                let report = StatusReport {
                    which: MessageRef::Id(message.id),
                    status: *status,
                    error: None,
                    occurred_at: None,
                };
                let _ = world.app.report_status(owner, report).await;
            }
        }
        Act::Delete(of) => {
            if let Some(message) = one(of) {
                let (id, etag) = (message.id, None);
                let delete = DeleteMessage { id, etag };
                let _ = world.app.delete_message(owner, delete).await;
            }
        }
        Act::Read(of) => {
            if let Some(message) = one(of) {
                let (id, up_to) = (message.conversation_id, Some(message.sequence));
                let _ = world.app.mark_as_read(owner, id, up_to).await;
            }
        }
        Act::Unread(of) => {
            if let Some(message) = one(of) {
                let id = message.conversation_id;
                let _ = world.app.mark_as_unread(owner, id).await;
            }
        }
        Act::Give(of, to_ada) => {
            if let Some(message) = one(of) {
                let user = if *to_ada { "ada" } else { "" };
                let mut edit = unchanged(message.conversation_id);
                edit.user = Some(user.to_owned());
                edit.title = Some(format!("chat of {user}"));
                let _ = world.app.edit_conversation(owner, edit).await;
            }
        }
        Act::Archive(of) => {
            if let Some(message) = one(of) {
                let mut edit = unchanged(message.conversation_id);
                edit.status = Some(ConversationStatus::Archived);
                let _ = world.app.edit_conversation(owner, edit).await;
            }
        }
        Act::Drop(of) => {
            if let Some(message) = one(of) {
                let id = message.conversation_id;
                let _ = world.app.delete_conversation(owner, id, None).await;
            }
        }
    }
}

/// What an instance says of an owner and of one of its users.
async fn of_scopes(owner: &Owner, app: &App) -> Vec<String> {
    let mut said = Vec::new();
    for user in [None, Some("ada")] {
        let stats = app.stats(owner, user, None).await.unwrap();
        said.push(shown(&stats.value));
        let filter = ConversationFilter {
            user: user.map(str::to_owned),
            ..ConversationFilter::default()
        };
        let unread = ConversationFilter {
            unread_only: true,
            ..filter.clone()
        };
        let theirs = ConversationFilter {
            participant: Some("+16460000001".to_owned()),
            ..filter.clone()
        };
        let ours = ConversationFilter {
            participant: Some("+12125550000".to_owned()),
            ..filter.clone()
        };
        for (filter, size) in [(filter, 0), (unread, 0), (theirs, 1), (ours, 2)] {
            let page = PageRequest {
                size,
                token: String::new(),
            };
            let list = ListConversations {
                filter,
                page,
                with_total: size < 2,
            };
            let page = app.list_conversations(owner, list, None).await.unwrap();
            said.push(shown(&page.value));
        }
        for (query, size) in [("chat", 0), ("", 1), ("text", 2)] {
            let search = SearchMessages {
                query: query.to_owned(),
                filter: SearchFilter {
                    user: user.map(str::to_owned),
                    ..SearchFilter::default()
                },
                page: PageRequest {
                    size,
                    token: String::new(),
                },
            };
            let page = app.search_messages(owner, search, None).await.unwrap();
            said.push(shown(&page.value));
        }
    }
    said
}

/// All that an instance says of what was sent.
async fn all(world: &World, app: &App, sent: &[Message]) -> Vec<String> {
    let owner = &world.owner;
    let mut said = of_scopes(owner, app).await;
    let mut conversations: Vec<_> = sent.iter().map(|m| m.conversation_id).collect();
    conversations.sort();
    conversations.dedup();
    for id in conversations {
        let of = app
            .conversation(owner, &ConversationRef::Id(id), None)
            .await;
        let Ok(of) = of else {
            // It has been deleted.
            continue;
        };
        said.push(shown(&of.value));
        for size in [3, 50] {
            let request = ListMessages {
                with_total: true,
                ..list(id, size)
            };
            let page: Read<Page<Answer<Message>>> =
                app.list_messages(owner, request, None).await.unwrap();
            said.extend(page.value.items.iter().map(shown));
            said.push(format!(
                "{:?} {}",
                page.value.total_size, page.value.next_page_token
            ));
        }
    }
    let some: Vec<MessageId> = sent.iter().rev().take(10).map(|m| m.id).collect();
    if let Some(id) = some.first() {
        let message = app.message(owner, &MessageRef::Id(*id), None).await;
        said.push(message.map_or_else(|error| error.to_string(), |read| shown(&read.value)));
    }
    let batch: Read<MessageBatch> = app.messages(owner, some, None).await.unwrap();
    said.extend(batch.value.messages.iter().map(shown));
    said.push(format!("{:?}", batch.value.missing));
    said
}

fn they_are_alike(backend: Backend, acts: &[Act]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new(Db::sqlite().await, backend).await;
        let mut sent = Vec::new();
        for act in acts {
            play(&world, act, &mut sent).await;
            let expected = all(&world, &world.plain, &sent).await;
            // Twice: what the first fills, the second finds.
            for _ in 0..2 {
                assert_eq!(
                    all(&world, &world.app, &sent).await,
                    expected,
                    "after {act:?}"
                );
            }
        }
    });
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    proptest::collection::vec(act(), 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn they_are_alike_with_memory(acts in acts()) {
        they_are_alike(Backend::Memory, &acts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn they_are_alike_with_redis(acts in acts()) {
        they_are_alike(Backend::Redis, &acts);
    }

    #[test]
    fn they_are_alike_with_redis_and_copies(acts in acts()) {
        they_are_alike(Backend::Hybrid, &acts);
    }
}
