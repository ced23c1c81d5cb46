//! A read through the cache returns the same as a read of the database, after any sequence of actions.

use parlance_app::conversations::{ConversationFilter, ConversationRef, ListConversations};
use parlance_app::messages::{
    DeleteMessage, ListMessages, MessageBatch, MessageEdit, MessageRef, SearchFilter,
    SearchMessages, StatusReport,
};
use parlance_app::{Answer, App, Page, PageRequest, Read};
use parlance_cache::Backend;
use parlance_domain::message::ReportStatus;
use parlance_domain::{ConversationStatus, Json, Message, MessageId, Owner};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::db::Db;
use crate::world::{World, list, shown, unchanged};

/// Action on the service.
#[derive(Debug, Clone)]
enum Action {
    Chat,
    Text,
    Edit(Index),
    Report(Index, ReportStatus),
    Delete(Index),
    Read(Index),
    Unread(Index),
    /// Assigns a conversation to ada or to no user, and changes its title.
    Assign(Index, bool),
    Archive(Index),
    Drop(Index),
    /// Sends several messages at once, because lists are limited to 50.
    Many,
}

fn action() -> impl Strategy<Value = Action> {
    let reports = proptest::sample::select(ReportStatus::ALL);
    prop_oneof![
        4 => Just(Action::Chat),
        2 => Just(Action::Text),
        2 => any::<Index>().prop_map(Action::Edit),
        2 => (any::<Index>(), reports).prop_map(|(of, status)| Action::Report(of, status)),
        2 => any::<Index>().prop_map(Action::Delete),
        1 => any::<Index>().prop_map(Action::Read),
        1 => any::<Index>().prop_map(Action::Unread),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(of, to_ada)| Action::Assign(of, to_ada)),
        1 => any::<Index>().prop_map(Action::Archive),
        1 => any::<Index>().prop_map(Action::Drop),
        1 => Just(Action::Many),
    ]
}

async fn perform(world: &World, action: &Action, sent: &mut Vec<Message>) {
    let one = |of: &Index| (!sent.is_empty()).then(|| of.get(sent).clone());
    let owner = &world.owner;
    match action {
        Action::Chat => sent.push(world.chat("c", "chat").await),
        Action::Text => sent.push(world.text(1, "text").await),
        Action::Many => {
            for _ in 0..20 {
                sent.push(world.chat("c", "one of many").await);
            }
        }
        Action::Edit(of) => {
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
        Action::Report(of, status) => {
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
        Action::Delete(of) => {
            if let Some(message) = one(of) {
                let (id, etag) = (message.id, None);
                let delete = DeleteMessage { id, etag };
                let _ = world.app.delete_message(owner, delete).await;
            }
        }
        Action::Read(of) => {
            if let Some(message) = one(of) {
                let (id, up_to) = (message.conversation_id, Some(message.sequence));
                let _ = world.app.mark_as_read(owner, id, up_to).await;
            }
        }
        Action::Unread(of) => {
            if let Some(message) = one(of) {
                let id = message.conversation_id;
                let _ = world.app.mark_as_unread(owner, id).await;
            }
        }
        Action::Assign(of, to_ada) => {
            if let Some(message) = one(of) {
                let user = if *to_ada { "ada" } else { "" };
                let mut edit = unchanged(message.conversation_id);
                edit.user = Some(user.to_owned());
                edit.title = Some(format!("chat of {user}"));
                let _ = world.app.edit_conversation(owner, edit).await;
            }
        }
        Action::Archive(of) => {
            if let Some(message) = one(of) {
                let mut edit = unchanged(message.conversation_id);
                edit.status = Some(ConversationStatus::Archived);
                let _ = world.app.edit_conversation(owner, edit).await;
            }
        }
        Action::Drop(of) => {
            if let Some(message) = one(of) {
                let id = message.conversation_id;
                let _ = world.app.delete_conversation(owner, id, None).await;
            }
        }
    }
}

/// Returns everything that an instance shows for an owner and for one of its users.
async fn answers_for_scopes(owner: &Owner, app: &App) -> Vec<String> {
    let mut answers = Vec::new();
    for user in [None, Some("ada")] {
        let stats = app.stats(owner, user, None).await.unwrap();
        answers.push(shown(&stats.value));
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
            answers.push(shown(&page.value));
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
            answers.push(shown(&page.value));
        }
    }
    answers
}

/// Returns everything that an instance shows for the sent messages.
async fn all_answers(world: &World, app: &App, sent: &[Message]) -> Vec<String> {
    let owner = &world.owner;
    let mut answers = answers_for_scopes(owner, app).await;
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
        answers.push(shown(&of.value));
        for size in [3, 50] {
            let request = ListMessages {
                with_total: true,
                ..list(id, size)
            };
            let page: Read<Page<Answer<Message>>> =
                app.list_messages(owner, request, None).await.unwrap();
            answers.extend(page.value.items.iter().map(shown));
            answers.push(format!(
                "{:?} {}",
                page.value.total_size, page.value.next_page_token
            ));
        }
    }
    let some: Vec<MessageId> = sent.iter().rev().take(10).map(|m| m.id).collect();
    if let Some(id) = some.first() {
        let message = app.message(owner, &MessageRef::Id(*id), None).await;
        answers.push(message.map_or_else(|error| error.to_string(), |read| shown(&read.value)));
    }
    let batch: Read<MessageBatch> = app.messages(owner, some, None).await.unwrap();
    answers.extend(batch.value.messages.iter().map(shown));
    answers.push(format!("{:?}", batch.value.missing));
    answers
}

fn cached_reads_equal_plain_reads(backend: Backend, actions: &[Action]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::new(Db::sqlite().await, backend).await;
        let mut sent = Vec::new();
        for action in actions {
            perform(&world, action, &mut sent).await;
            let expected = all_answers(&world, &world.plain, &sent).await;
            // Twice: the first read fills the cache, the second hits it.
            for _ in 0..2 {
                assert_eq!(
                    all_answers(&world, &world.app, &sent).await,
                    expected,
                    "after {action:?}"
                );
            }
        }
    });
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    proptest::collection::vec(action(), 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn cached_reads_equal_plain_reads_with_memory(actions in actions()) {
        cached_reads_equal_plain_reads(Backend::Memory, &actions);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn cached_reads_equal_plain_reads_with_redis(actions in actions()) {
        cached_reads_equal_plain_reads(Backend::Redis, &actions);
    }

    #[test]
    fn cached_reads_equal_plain_reads_with_hybrid(actions in actions()) {
        cached_reads_equal_plain_reads(Backend::Hybrid, &actions);
    }
}
