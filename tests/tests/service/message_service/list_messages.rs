//! `ListMessages`.

use parlance_proto::v1::{self, ListMessagesRequest as List};
use parlance_tests::Caller;
use parlance_tests::make::{self, chat, list};

/// Sends a chat with this many messages; their bodies are their sequences.
async fn chat_of(t: &Caller, count: i64) -> String {
    let name = make::unique("chat_of");
    let mut id = String::new();
    for n in 1..=count {
        id = t.ok(chat(&name, &n.to_string())).await.conversation_id;
    }
    id
}

fn sequences(page: &v1::ListMessagesResponse) -> Vec<i64> {
    page.messages.iter().map(|m| m.sequence).collect()
}

/// All pages.
async fn pages(t: &Caller, mut request: List) -> Vec<Vec<i64>> {
    let mut pages = Vec::new();
    loop {
        let page = t.ok(request.clone()).await;
        pages.push(sequences(&page));
        if page.next_page_token.is_empty() {
            return pages;
        }
        request.page_token = page.next_page_token;
    }
}

on_both! {
    async fn both_orders_in_pages(t: Caller) {
        let id = chat_of(&t, 7).await;
        let of = |page_size, oldest_first, after_sequence| List { page_size, oldest_first, after_sequence, ..list(&id) };
        assert_eq!(pages(&t, of(3, false, 0)).await, [vec![7, 6, 5], vec![4, 3, 2], vec![1]]);
        assert_eq!(pages(&t, of(3, true, 0)).await, [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
        assert_eq!(pages(&t, of(2, true, 4)).await, [vec![5, 6], vec![7]]);
        assert_eq!(pages(&t, of(2, false, 4)).await, [vec![7, 6], vec![5]]);
        assert_eq!(pages(&t, of(7, false, 0)).await, [vec![7, 6, 5, 4, 3, 2, 1]], "no empty last page");
        assert_eq!(pages(&t, of(0, false, 7)).await, [Vec::<i64>::new()]);
        assert_eq!(pages(&t, of(0, true, i64::MAX)).await, [Vec::<i64>::new()]);
        let page = t.ok(list(&id)).await;
        assert_eq!(page.messages[6], t.message(&page.messages[6].id).await, "a list shows whole messages");
        assert_eq!(page.total_size, 0, "no total was requested");
    }

    async fn the_default_page_size_is_50_and_the_maximum_200(t: Caller) {
        let id = chat_of(&t, 203).await;
        for (page_size, expected) in [(0, 50), (1, 1), (199, 199), (200, 200), (201, 200), (i32::MAX, 200)] {
            let page = t.ok(List { page_size, ..list(&id) }).await;
            assert_eq!(page.messages.len(), expected, "{page_size}");
            assert!(!page.next_page_token.is_empty());
        }
        let all: Vec<i64> = pages(&t, List { page_size: 40, ..list(&id) }).await.concat();
        assert_eq!(all, (1..=203).rev().collect::<Vec<i64>>());
    }

    async fn totals_count_all_matching_messages(t: Caller) {
        let id = chat_of(&t, 5).await;
        let total = |after_sequence, page_size| List { with_total: true, after_sequence, page_size, ..list(&id) };
        assert_eq!(t.ok(total(0, 2)).await.total_size, 5, "on all pages");
        assert_eq!(t.ok(total(3, 1)).await.total_size, 2, "of the messages after the sequence");
        assert_eq!(t.ok(total(5, 0)).await.total_size, 0);
        let third = t.ok(list(&id)).await.messages[2].id.clone();
        t.ok(make::delete_message(&third)).await;
        assert_eq!(t.ok(total(0, 2)).await.total_size, 4);
        assert_eq!(t.ok(total(3, 2)).await.total_size, 2);
        assert_eq!(t.ok(total(1, 2)).await.total_size, 3);
    }

    async fn a_conversation_without_messages_is_an_empty_list(t: Caller) {
        let id = t.ok(make::create_chat("")).await.id;
        let page = t.ok(List { with_total: true, ..list(&id) }).await;
        assert_eq!(page, v1::ListMessagesResponse::default());
    }

    async fn deleted_sequences_are_skipped_and_not_reused(t: Caller) {
        let id = chat_of(&t, 4).await;
        let messages = t.all_messages(&id).await;
        t.ok(make::delete_message(&messages[1].id)).await;
        t.ok(make::delete_message(&messages[3].id)).await;
        assert_eq!(t.ok(make::reply(&id, "next")).await.sequence, 5);
        assert_eq!(pages(&t, List { page_size: 2, ..list(&id) }).await, [vec![5, 3], vec![1]]);
    }

    /// Keyset pagination: concurrent writes neither repeat nor hide a message.
    async fn pages_are_stable_under_concurrent_writes(t: Caller) {
        let id = chat_of(&t, 6).await;
        let request = List { page_size: 2, ..list(&id) };
        let first = t.ok(request.clone()).await;
        assert_eq!(sequences(&first), [6, 5]);
        t.ok(make::reply(&id, "7")).await;
        t.ok(make::delete_message(&first.messages[1].id)).await;
        let second = t.ok(List { page_token: first.next_page_token, ..request }).await;
        assert_eq!(sequences(&second), [4, 3]);

        let upwards = List { page_size: 4, oldest_first: true, ..list(&id) };
        let first = t.ok(upwards.clone()).await;
        assert_eq!(sequences(&first), [1, 2, 3, 4]);
        t.ok(make::reply(&id, "8")).await;
        let second = t.ok(List { page_token: first.next_page_token, ..upwards }).await;
        assert_eq!(sequences(&second), [6, 7, 8]);
    }

    async fn a_page_token_is_valid_only_for_its_list(t: Caller) {
        let id = chat_of(&t, 4).await;
        let another = chat_of(&t, 4).await;
        let request = List { page_size: 2, ..list(&id) };
        let token = t.ok(request.clone()).await.next_page_token;
        assert!(!token.is_empty());
        let next = List { page_token: token.clone(), ..request };
        t.ok(next.clone()).await;
        t.ok(List { page_size: 1, with_total: true, ..next.clone() }).await;
        let conversations = v1::ListConversationsRequest { page_token: token.clone(), ..Default::default() };
        assert_eq!(t.refused(conversations).await.fields, ["page_token"]);
        let mut broken = token.clone();
        broken.replace_range(0..1, if token.starts_with('A') { "B" } else { "A" });
        for other in [
            List { conversation_id: another, ..next.clone() },
            List { oldest_first: true, ..next.clone() },
            List { after_sequence: 1, ..next.clone() },
            List { page_token: broken, ..next.clone() },
            List { page_token: format!("{token}A"), ..next.clone() },
            List { page_token: token[1..].to_owned(), ..next.clone() },
        ] {
            assert_eq!(t.refused(other.clone()).await.fields, ["page_token"], "{other:?}");
        }
        assert_eq!(t.other().refused(next).await.fields, ["page_token"], "another owner");
    }

    async fn a_page_is_limited_to_a_mebibyte(t: Caller) {
        let body = "x".repeat(200 * 1024);
        let name = make::unique("chat_of");
        let mut id = String::new();
        for _ in 0..9 {
            id = t.ok(chat(&name, &body)).await.conversation_id;
        }
        for oldest_first in [false, true] {
            let pages = pages(&t, List { oldest_first, ..list(&id) }).await;
            assert_eq!(pages.len(), 2, "{pages:?}");
            assert_eq!(pages[0].len(), 6, "it ends after the message that reaches the limit: {pages:?}");
            let mut all = pages.concat();
            all.sort_unstable();
            assert_eq!(all, (1..=9).collect::<Vec<i64>>());
        }
    }
}
