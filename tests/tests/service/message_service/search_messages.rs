//! `SearchMessages`.

use parlance_proto::v1::{self, SearchMessagesRequest as Search};
use parlance_tests::Caller;
use parlance_tests::make::{self, chat, search};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

async fn bodies(t: &Caller, request: Search) -> Vec<String> {
    let page = t.ok(request).await;
    page.results
        .into_iter()
        .map(|result| result.message.unwrap().body)
        .collect()
}

/// Bodies of the results on each page.
async fn pages(t: &Caller, mut request: Search) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let page = t.ok(request.clone()).await;
        pages.push(
            page.results
                .into_iter()
                .map(|result| result.message.unwrap().body)
                .collect(),
        );
        if page.next_page_token.is_empty() {
            return pages;
        }
        request.page_token = page.next_page_token;
    }
}

async fn snippet(t: &Caller, query: &str) -> String {
    let results = t.ok(search(query)).await.results;
    assert_eq!(results.len(), 1, "{results:?}");
    results[0].snippet.clone()
}

on_both! {
    async fn all_words_must_occur(t: Caller) {
        let mail = v1::SendMessageRequest { subject: "Invoice overdue".to_owned(), ..make::mail(&t.mail_pair().await, "Please pay") };
        let sent = t.ok(mail).await;
        t.ok(make::edit(&sent.conversation_id, &["title"], |c| c.title = "Accounting 2026".to_owned())).await;
        t.ok(chat("", "please call")).await;
        for (query, expected) in [
            ("please", 2), ("PLEASE", 2), ("pay", 1), ("invoice", 1), ("accounting", 1), ("2026 overdue pay", 1),
            ("pay call", 0), ("plea", 0), ("invoice invoice INVOICE", 1), ("please -pay", 1), ("overdue OR call", 0),
        ] {
            assert_eq!(bodies(&t, search(query)).await.len(), expected, "{query}");
        }
        let found = t.ok(search("overdue")).await.results.remove(0);
        assert_eq!(found.message, Some(t.message(&sent.id).await), "a whole message");
        assert!(found.score > 0.0);
    }

    async fn messages_of_another_owner_are_not_found(t: Caller) {
        let theirs = t.other().ok(chat("", "secret plan")).await;
        for query in ["secret", "", "plan secret"] {
            assert_eq!(t.ok(search(query)).await, v1::SearchMessagesResponse::default(), "{query}");
        }
        let by_conversation = Search { conversation_id: theirs.conversation_id.clone(), ..search("secret") };
        assert_eq!(t.ok(by_conversation.clone()).await, v1::SearchMessagesResponse::default());
        assert_eq!(t.other().ok(by_conversation).await.results.len(), 1);
    }

    async fn deleted_or_changed_text_is_not_found(t: Caller) {
        let deleted = t.ok(chat("", "one needle")).await;
        let edited = t.ok(chat("", "two needle")).await;
        let hidden = t.ok(chat("", "three needle")).await;
        assert_eq!(bodies(&t, search("needle")).await.len(), 3);
        t.ok(make::delete_message(&deleted.id)).await;
        t.ok(make::delete_conversation(&hidden.conversation_id)).await;
        t.ok(make::edit_message(&edited.id, &[], |m| m.body = "two pins".to_owned())).await;
        assert_eq!(bodies(&t, search("needle")).await, Vec::<String>::new());
        assert_eq!(bodies(&t, search("pins")).await, ["two pins"]);
        assert_eq!(bodies(&t, search("")).await, ["two pins"]);
    }

    async fn filters_select_messages(t: Caller) {
        let pair = t.pair().await;
        let out = t.ok(v1::SendMessageRequest { user: "ana".to_owned(), ..make::sms(&pair, "red car") }).await;
        t.ok(make::inbound_sms(&pair, "red boat")).await;
        let in_chat = t.ok(chat("", "red kite")).await;
        t.ok(v1::SendMessageRequest { send_at: Some(make::far_future(0)), ..make::sms(&pair, "red bus") }).await;
        let any = || search("red");
        for (request, expected) in [
            (any(), &["bus", "boat", "car", "kite"][..]),
            (Search { user: "ana".to_owned(), ..any() }, &["boat", "bus", "car"]),
            (Search { user: "bob".to_owned(), ..any() }, &[]),
            (Search { conversation_id: out.conversation_id.clone(), ..any() }, &["boat", "bus", "car"]),
            (Search { conversation_id: in_chat.conversation_id.clone(), ..any() }, &["kite"]),
            (Search { channel: v1::Channel::Chat.into(), ..any() }, &["kite"]),
            (Search { channel: v1::Channel::Email.into(), ..any() }, &[]),
            (Search { direction: v1::Direction::Inbound.into(), ..any() }, &["boat", "kite"]),
            (Search { direction: v1::Direction::Outbound.into(), ..any() }, &["bus", "car"]),
            (Search { status: v1::MessageStatus::Scheduled.into(), ..any() }, &["bus"]),
            (Search { status: v1::MessageStatus::Received.into(), ..any() }, &["boat"]),
            (Search { status: v1::MessageStatus::Expired.into(), ..any() }, &[]),
            (Search { created_after: in_chat.created_at, ..any() }, &["bus", "kite"]),
            (Search { created_before: in_chat.created_at, ..any() }, &["boat", "car"]),
            (Search { created_after: in_chat.created_at, created_before: in_chat.created_at, ..any() }, &[]),
        ] {
            for query in ["red", ""] {
                let request = Search { query: query.to_owned(), ..request.clone() };
                let mut found = bodies(&t, request.clone()).await;
                found.sort();
                let mut expected: Vec<String> = expected.iter().map(|word| format!("red {word}")).collect();
                expected.sort();
                assert_eq!(found, expected, "{request:?}");
            }
        }
    }

    async fn without_words_results_are_newest_first(t: Caller) {
        for n in 1..=7 {
            t.ok(chat("", &n.to_string())).await;
        }
        for query in ["", "  ", "🙂 -- \"'", "\0", "\u{202e}"] {
            let pages = pages(&t, Search { page_size: 3, ..search(query) }).await;
            assert_eq!(pages, [vec!["7", "6", "5"], vec!["4", "3", "2"], vec!["1"]], "{query:?}");
        }
        let all = t.ok(search("")).await.results;
        assert!(all.iter().all(|result| result.score == 0.0 && !result.snippet.contains('<')));
        assert_eq!(pages(&t, Search { page_size: 7, ..search("") }).await.len(), 1, "no empty last page");
    }

    async fn results_are_ranked_across_pages(t: Caller) {
        let far_future = format!("red {} car", "and ".repeat(60));
        for body in ["red car", &far_future, "a car that is red", "red car, red car", "no match"] {
            t.ok(chat("", body)).await;
        }
        let titled = t.ok(chat("titled", "other words")).await;
        t.ok(make::edit(&titled.conversation_id, &["title"], |c| c.title = "red car".to_owned())).await;
        let expected = ["other words", "red car, red car", "red car", "a car that is red", &far_future];
        for page_size in [1, 2, 5, 200] {
            let pages = pages(&t, Search { page_size, ..search("red car") }).await;
            assert_eq!(pages.concat(), expected, "{page_size}");
            assert!(pages.iter().all(|page| !page.is_empty()));
        }
        let scores: Vec<f64> = t.ok(search("red car")).await.results.iter().map(|result| result.score).collect();
        assert!(scores.is_sorted_by(|a, b| a > b), "{scores:?}");
    }

    /// Concurrent writes neither repeat nor hide a result of later pages.
    async fn pages_are_stable_under_concurrent_writes(t: Caller) {
        let mut ids = Vec::new();
        for n in 0..9 {
            ids.push(t.ok(chat("", &format!("same {n}"))).await.id);
        }
        let request = Search { page_size: 3, ..search("same") };
        let first = t.ok(request.clone()).await;
        t.ok(chat("", "same same same")).await;
        t.ok(make::delete_message(&ids[8])).await;
        let mut seen: Vec<String> = first.results.into_iter().map(|result| result.message.unwrap().id).collect();
        let mut token = first.next_page_token;
        while !token.is_empty() {
            let page = t.ok(Search { page_token: token, ..request.clone() }).await;
            seen.extend(page.results.into_iter().map(|result| result.message.unwrap().id));
            token = page.next_page_token;
        }
        ids.reverse();
        assert_eq!(seen, ids, "equal scores are ordered newest first");
    }

    async fn a_page_token_is_valid_only_for_its_search(t: Caller) {
        for n in 0..3 {
            t.ok(chat("", &format!("same {n}"))).await;
        }
        let request = Search { page_size: 1, ..search("same") };
        let token = t.ok(request.clone()).await.next_page_token;
        let with_token = |request: Search| Search { page_token: token.clone(), ..request };
        assert_eq!(t.ok(with_token(Search { page_size: 2, ..request.clone() })).await.results.len(), 2, "with any page size");
        for other in [
            search("other"),
            Search { user: "ana".to_owned(), ..search("same") },
            Search { status: v1::MessageStatus::Delivered.into(), ..search("same") },
            Search { created_after: Some(make::far_future(0)), ..search("same") },
        ] {
            assert_eq!(t.refused(with_token(other)).await.fields, ["page_token"]);
        }
        assert_eq!(t.other().refused(with_token(request)).await.fields, ["page_token"]);
    }

    async fn snippets_are_safe_html(t: Caller) {
        t.ok(chat("", "<script>alert('needle & thread')</script>")).await;
        assert_eq!(
            snippet(&t, "thread").await,
            "&lt;script&gt;alert(&#39;needle &amp; <mark>thread</mark>&#39;)&lt;/script&gt;"
        );
        t.ok(chat("", "</mark><mark onclick=evil()> \"Straße\"\n\tEnd")).await;
        assert_eq!(
            snippet(&t, "STRAßE mark").await,
            "&lt;/<mark>mark</mark>&gt;&lt;<mark>mark</mark> onclick=evil()&gt; &quot;<mark>Straße</mark>&quot; End"
        );
        let long = format!("{} deep {}", "hay ".repeat(5_000), "<&>".repeat(5_000));
        t.ok(chat("", &long)).await;
        let shown = snippet(&t, "deep").await;
        assert!(shown.starts_with("…") && shown.contains("<mark>deep</mark>") && shown.ends_with('…'), "{shown}");
        assert!(shown.len() < 1_000, "{shown}");
    }

    /// No text makes a search fail, or finds a message without its words.
    async fn any_text_is_a_query(t: Caller) {
        t.ok(chat("", "needle")).await;
        let many = (0..1_800).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ");
        let quotes = "\"".repeat(10_000);
        let emoji = "🙂".repeat(10_000);
        let word = "x".repeat(10_000);
        let hostile = [
            "\"", "'", "''", "\\", "\\'", "a\"b'c\\d", "NEAR(a b)", "needle*", "^needle", "body:needle", "{a b} : c", "a AND b",
            "OR", "NOT needle", "-needle", "(((", ")", "a & b", "a | b", "!a", "a <-> b", "a:*", ":A", "a:1A", "$1", "?", "%_",
            "=o0", "--", "; DROP TABLE messages; --", "\0", "a\0b", "\u{202e}שלום\u{202c}", "\u{feff}", "e\u{301}\u{301}",
            "İ", "ﬃ", "½", "ﷺ", "\u{10ffff}", "\r\n\t", &many, &quotes, &emoji, &word,
        ];
        for query in hostile {
            let found = bodies(&t, search(query)).await;
            let has_words = query.chars().any(char::is_alphanumeric);
            let is_needle = query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).all(|word| word == "needle");
            assert_eq!(found.is_empty(), has_words && !is_needle, "{query:?}");
        }
        let mut runner = TestRunner::deterministic();
        for _ in 0..100 {
            let query = any::<String>().new_tree(&mut runner).unwrap().current();
            t.ok(search(&query)).await;
        }
    }
}
