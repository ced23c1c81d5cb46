//! `ListConversations`.

use parlance_proto::v1::{self, ListConversationsRequest as List};
use parlance_tests::Caller;
use parlance_tests::make::{self, chat, create_chat, inbound_sms, mail, set_status, sms};

async fn titles(t: &Caller, mut request: List) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    loop {
        let page = t.ok(request.clone()).await;
        pages.push(
            page.conversations
                .into_iter()
                .map(|c| c.external_id)
                .collect(),
        );
        if page.next_page_token.is_empty() {
            return pages;
        }
        request.page_token = page.next_page_token;
    }
}

async fn ids(t: &Caller, request: List) -> Vec<String> {
    let mut ids: Vec<String> = t
        .ok(request)
        .await
        .conversations
        .into_iter()
        .map(|c| c.id)
        .collect();
    ids.sort();
    ids
}

fn sorted(ids: &[&String]) -> Vec<String> {
    let mut ids: Vec<String> = ids.iter().map(|&id| id.clone()).collect();
    ids.sort();
    ids
}

on_both! {
    async fn pages_list_the_newest_first(t: Caller) {
        for name in ["a", "b", "c", "d", "e"] {
            t.ok(chat(name, "hi")).await;
        }
        t.ok(create_chat("empty")).await;
        t.ok(chat("b", "again")).await;
        let of = |page_size| List { page_size, ..Default::default() };
        assert_eq!(titles(&t, of(0)).await, [["b", "empty", "e", "d", "c", "a"]]);
        assert_eq!(titles(&t, of(4)).await, [vec!["b", "empty", "e", "d"], vec!["c", "a"]]);
        assert_eq!(titles(&t, of(3)).await, [["b", "empty", "e"], ["d", "c", "a"]], "no empty last page");
        let page = t.ok(of(1)).await;
        assert_eq!(page.conversations[0], t.conversation(&page.conversations[0].id).await, "a list shows whole conversations");
        assert_eq!(page.total_size, 0, "no total was requested");
        let counted = t.ok(List { with_total: true, ..of(2) }).await;
        assert_eq!((counted.total_size, counted.conversations.len()), (6, 2));
        assert_eq!(t.other().ok(List { with_total: true, ..of(0) }).await, v1::ListConversationsResponse::default());
    }

    async fn filters_must_all_match(t: Caller) {
        let (one, two) = (t.pair().await, t.pair().await);
        let emails = t.mail_pair().await;
        let ana = t.ok(v1::SendMessageRequest { user: "ana".to_owned(), ..sms(&one, "hi") }).await.conversation_id;
        let bob = t.ok(v1::ReceiveMessageRequest { user: "bob".to_owned(), ..inbound_sms(&two, "hi") }).await.conversation_id;
        let post = t.ok(v1::SendMessageRequest { user: "ana".to_owned(), ..mail(&emails, "hi") }).await.conversation_id;
        let in_chat = t.ok(v1::SendMessageRequest { user: "ana".to_owned(), ..chat("", "hi") }).await.conversation_id;
        t.ok(set_status(&post, v1::ConversationStatus::Archived)).await;
        t.ok(set_status(&in_chat, v1::ConversationStatus::Closed)).await;
        let none = List::default;
        let by_user = |user: &str| List { user: user.to_owned(), ..none() };
        let by_status = |status: v1::ConversationStatus| List { status: status.into(), ..none() };
        let by_address = |address: &str| List { participant: address.to_owned(), ..none() };
        let table: Vec<(List, Vec<&String>)> = vec![
            (none(), vec![&ana, &bob, &post, &in_chat]),
            (by_user("ana"), vec![&ana, &post, &in_chat]),
            (by_user("Ana"), vec![]),
            (List { channel: v1::Channel::Sms.into(), ..none() }, vec![&ana, &bob]),
            (List { channel: v1::Channel::Email.into(), ..none() }, vec![&post]),
            (List { channel: v1::Channel::Chat.into(), ..by_user("ana") }, vec![&in_chat]),
            (by_status(v1::ConversationStatus::Active), vec![&ana, &bob]),
            (by_status(v1::ConversationStatus::Archived), vec![&post]),
            (by_status(v1::ConversationStatus::Closed), vec![&in_chat]),
            (List { unread_only: true, ..none() }, vec![&bob]),
            (List { unread_only: true, ..by_user("ana") }, vec![]),
            (by_address(&one.ours), vec![&ana]),
            (by_address(&two.theirs), vec![&bob]),
            (by_address(&emails.theirs), vec![&post]),
            (by_address(&emails.theirs.replace("theirs.", "THEIRS.")), vec![&post]),
            (by_address(&emails.ours), vec![&post]),
            (by_address(&make::phone()), vec![]),
            (List { status: v1::ConversationStatus::Closed.into(), ..by_address(&one.ours) }, vec![]),
        ];
        for (request, expected) in table {
            assert_eq!(ids(&t, request.clone()).await, sorted(&expected), "{request:?}");
            let counted = t.ok(List { with_total: true, page_size: 1, ..request.clone() }).await;
            assert_eq!(usize::try_from(counted.total_size).unwrap(), expected.len(), "{request:?}");
            assert_eq!(titles(&t, List { page_size: 1, ..request }).await.concat().len(), expected.len());
        }
        t.ok(v1::MarkAsReadRequest { id: bob, up_to_sequence: 0 }).await;
        assert_eq!(ids(&t, List { unread_only: true, ..none() }).await, sorted(&[]));
    }

    async fn lists_by_address_do_not_depend_on_senders(t: Caller) {
        let (imported, live) = (make::phones(), t.pair().await);
        let us = imported.ours.clone();
        let of_ana = |mut request: v1::ImportConversationsRequest| {
            request.conversation.as_mut().unwrap().user = "ana".to_owned();
            request
        };
        // Two conversations with our number, and one in which the same number is the other party.
        t.imported(vec![
            make::imported_sms("first", &imported, "hi"),
            of_ana(make::imported_sms("second", &make::Pair { ours: us.clone(), theirs: make::phone() }, "hi")),
            of_ana(make::imported_sms("other side", &make::Pair { ours: make::phone(), theirs: us.clone() }, "hi")),
        ]).await;
        let mut create = make::create(&live);
        let conversation = create.conversation.as_mut().unwrap();
        (conversation.external_id, conversation.user) = ("live".to_owned(), "ana".to_owned());
        t.ok(create).await;
        let senders = t.ok(v1::ListSendersRequest::default()).await.senders;
        assert_eq!(senders.len(), 1, "an import needs no sender");
        let check = async |address: &str, user: &str, expected: &[&str]| {
            let list = List { participant: address.to_owned(), user: user.to_owned(), page_size: 1, ..Default::default() };
            let counted = t.ok(List { with_total: true, ..list.clone() }).await;
            assert_eq!(usize::try_from(counted.total_size).unwrap(), expected.len(), "{expected:?}");
            let mut found = titles(&t, list).await.concat();
            found.sort();
            assert_eq!(found, expected);
        };
        check(&us, "", &["first", "other side", "second"]).await;
        check(&us, "ana", &["other side", "second"]).await;
        check(&us, "bob", &[]).await;
        check(&imported.theirs, "", &["first"]).await;
        check(&live.ours, "", &["live"]).await;
        t.ok(v1::DeleteSenderRequest { id: senders[0].id.clone() }).await;
        check(&live.ours, "", &["live"]).await;
        check(&live.ours, "ana", &["live"]).await;
        check(&live.theirs, "ana", &["live"]).await;
    }

    async fn the_default_page_size_is_50_and_the_maximum_200(t: Caller) {
        for n in 0..202 {
            t.ok(create_chat(&format!("{n:03}"))).await;
        }
        for (page_size, expected) in [(0, 50), (1, 1), (200, 200), (201, 200), (i32::MAX, 200)] {
            let page = t.ok(List { page_size, ..Default::default() }).await;
            assert_eq!(page.conversations.len(), expected, "{page_size}");
        }
        let all = titles(&t, List { page_size: 60, ..Default::default() }).await.concat();
        let expected: Vec<String> = (0..202).rev().map(|n| format!("{n:03}")).collect();
        assert_eq!(all, expected);
    }

    async fn a_page_token_is_valid_only_for_its_list(t: Caller) {
        for name in ["a", "b", "c"] {
            t.ok(v1::SendMessageRequest { user: "ana".to_owned(), ..chat(name, "hi") }).await;
        }
        let request = List { page_size: 1, user: "ana".to_owned(), ..Default::default() };
        let token = t.ok(request.clone()).await.next_page_token;
        let next = List { page_token: token, ..request };
        t.ok(List { page_size: 2, with_total: true, ..next.clone() }).await;
        for other in [
            List { user: String::new(), ..next.clone() },
            List { user: "bob".to_owned(), ..next.clone() },
            List { channel: v1::Channel::Chat.into(), ..next.clone() },
            List { status: v1::ConversationStatus::Active.into(), ..next.clone() },
            List { unread_only: true, ..next.clone() },
            List { participant: make::phone(), ..next.clone() },
        ] {
            assert_eq!(t.refused(other.clone()).await.fields, ["page_token"], "{other:?}");
        }
        assert_eq!(t.other().refused(next).await.fields, ["page_token"], "another owner");
    }

    async fn a_page_is_limited_to_a_mebibyte(t: Caller) {
        let text = "x".repeat(16_000);
        for _ in 0..80 {
            let mut request = create_chat("");
            request.conversation.as_mut().unwrap().metadata = Some(make::json("a", &text));
            t.ok(request).await;
        }
        let pages = titles(&t, List { page_size: 200, ..Default::default() }).await;
        assert_eq!(pages.iter().map(Vec::len).sum::<usize>(), 80);
        assert_eq!(pages.len(), 2);
        assert!((60..70).contains(&pages[0].len()), "{}", pages[0].len());
    }
}
