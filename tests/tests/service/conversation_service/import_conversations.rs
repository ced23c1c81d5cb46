//! `ImportConversations`.

use parlance_proto::v1::{self, EventType, ImportConversationsRequest as Old};
use parlance_tests::Caller;
use parlance_tests::make::{self, at, chat, old_chat, old_sms, search};

fn bodies(messages: &[v1::Message]) -> Vec<&str> {
    messages.iter().map(|m| m.body.as_str()).collect()
}

/// What is said of the conversation of this name.
async fn said(t: &Caller, name: &str) -> Vec<v1::Message> {
    let id = t.named(name).await.id;
    t.all_messages(&id).await
}

/// As many chats, each of as many messages.
fn many(chats: usize, messages: usize) -> Vec<Old> {
    let old = |chat| {
        let bodies: Vec<String> = (0..messages).map(|n| format!("{chat} {n}")).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        old_chat(&format!("chat {chat}"), &bodies)
    };
    (0..chats).map(old).collect()
}

fn change(mut old: Old, change: impl FnOnce(&mut v1::Conversation)) -> Old {
    change(old.conversation.as_mut().unwrap());
    old
}

async fn check_stats(t: &Caller) {
    assert_eq!(t.stats("").await, t.stats_by_reading("").await);
}

on_both! {
    async fn a_chat_is_as_it_was(t: Caller) {
        let mut old = change(old_chat("s1", &["hello", "good day", ""]), |conversation| {
            conversation.user = "ana".to_owned();
            conversation.title = "parcels".to_owned();
            conversation.status = v1::ConversationStatus::Archived.into();
            conversation.metadata = Some(make::json("page", "cart"));
        });
        let answer = &mut old.messages[1];
        (answer.tokens_used, answer.latency_ms) = (Some(42), Some(900));
        answer.metadata = Some(make::json("model", "x"));
        answer.created_at = Some(prost_types::Timestamp { seconds: 1_600_000_500, nanos: 123_456_000 });
        // Older than the one before it: its place is what counts.
        old.messages[2].role = v1::Role::System.into();
        assert_eq!(t.imported(vec![old.clone()]).await, (1, 3, 0));
        let found = t.named("s1").await;
        let given = old.conversation.unwrap();
        assert_eq!((&found.user, &found.title, found.status), (&given.user, &given.title, given.status));
        assert_eq!((found.metadata.clone(), found.created_at), (given.metadata, given.created_at));
        assert_eq!((found.message_count, found.unread_count), (3, 0));
        assert_eq!(found.last_message_at.unwrap().seconds, 1_600_000_500);
        let messages = t.all_messages(&found.id).await;
        for (place, (message, old)) in (1..).zip(messages.iter().zip(&old.messages)) {
            assert_eq!(message.sequence, place);
            assert_eq!((&message.body, message.role, message.created_at), (&old.body, old.role, old.created_at));
            assert_eq!((message.tokens_used, message.latency_ms), (old.tokens_used, old.latency_ms));
            assert_eq!((&message.metadata, message.status()), (&old.metadata, v1::MessageStatus::Delivered));
            assert_eq!(message.delivered_at, old.created_at);
        }
        check_stats(&t).await;
        assert_eq!(t.stats("ana").await.tokens_used, 42);
        let page = t.ok(search("day parcels")).await;
        assert_eq!(page.results.len(), 1);
        assert_eq!(t.other().stats("").await, v1::Stats::default(), "another owner has none of it");
    }

    async fn further_recipients_of_an_old_mail_are_listed_once(t: Caller) {
        let pair = make::mail_addresses();
        let (local, domain) = pair.ours.split_once('@').unwrap();
        let recipient = format!("{local}@{}", domain.to_uppercase());
        let mut old = change(old_sms("ticket 8", &pair, "hi"), |conversation| {
            conversation.channel = v1::Channel::Email.into();
        });
        let given = ["Ann@EXAMPLE.com", &recipient, "Ann@example.com", "bob@example.com"];
        old.messages[0].cc_addresses = given.map(str::to_owned).to_vec();
        assert_eq!(t.imported(vec![old]).await, (1, 1, 0));
        let messages = said(&t, "ticket 8").await;
        assert_eq!(messages[0].to_address, pair.ours);
        assert_eq!(messages[0].cc_addresses, ["Ann@example.com", "bob@example.com"]);
    }

    async fn an_sms_is_not_sent(t: Caller) {
        use v1::MessageStatus::{Delivered, Failed, Received};
        let pair = make::phones();
        let mut old = old_sms("ticket 7", &pair, "are you there?");
        old.messages.extend([v1::MessageStatus::Failed, v1::MessageStatus::Unspecified].map(|status| v1::Message {
            direction: v1::Direction::Outbound.into(),
            status: status.into(),
            body: "yes".to_owned(),
            ..Default::default()
        }));
        old.messages[1].error = Some(v1::MessageError { code: "SPAM".to_owned(), ..Default::default() });
        old.messages[2].attachments.push(v1::Attachment {
            filename: "cat.png".to_owned(), content_type: "image/png".to_owned(), size_bytes: 3,
            url: "https://cats.example/1".to_owned(), ..Default::default()
        });
        assert_eq!(t.imported(vec![old]).await, (1, 3, 0));
        let messages = said(&t, "ticket 7").await;
        let statuses: Vec<_> = messages.iter().map(v1::Message::status).collect();
        assert_eq!(statuses, [Received, Failed, Delivered]);
        assert_eq!(messages[1].error.as_ref().unwrap().code, "SPAM");
        assert_eq!(messages[1].created_at, messages[0].created_at, "that of the message before");
        assert_eq!((messages[2].channel(), messages[2].attachments.len()), (v1::Channel::Mms, 1));
        assert_eq!((&messages[0].to_address, &messages[1].to_address), (&pair.ours, &pair.theirs));
        // What is sent afterwards goes its way in the same conversation, and is the first that anybody sees over there.
        let sent = t.ok(make::sms(&pair, "now")).await;
        assert_eq!((sent.conversation_id, sent.sequence), (messages[0].conversation_id.clone(), 4));
        let seen = parlance_testkit::eventually(parlance_tests::SOON, async || {
            let seen = t.ok(make::seen_at(&pair.theirs)).await.messages;
            (!seen.is_empty()).then_some(seen)
        })
        .await;
        assert_eq!(seen.len(), 1);
        let found = t.named("ticket 7").await;
        assert_eq!(found.unread_count, 0);
        let marked = t.ok(v1::MarkAsUnreadRequest { id: found.id }).await;
        assert_eq!(marked.unread_count, 1, "it came to us, as any other");
        assert_eq!(t.ok(make::story(&messages[1].id)).await.events, []);
        // What was sent may still move between the two.
        parlance_testkit::eventually(parlance_tests::SOON, async || {
            (t.stats("").await == t.stats_by_reading("").await).then_some(())
        })
        .await;
    }

    async fn what_is_there_is_passed_over_and_what_is_missing_is_added(t: Caller) {
        assert_eq!(t.imported(vec![old_chat("s", &["1", "2"])]).await, (1, 2, 0));
        assert_eq!(t.imported(vec![old_chat("s", &["1", "2"])]).await, (0, 0, 2));
        let live = t.ok(chat("s", "live")).await;
        t.ok(make::delete_message(&said(&t, "s").await[0].id)).await;
        let id = live.conversation_id;
        // Kept near, if anything is.
        for _ in 0..3 {
            assert_eq!(bodies(&t.ok(make::list(&id)).await.messages), ["live", "2"]);
            assert_eq!(t.ok(make::get_conversation(&id)).await.message_count, 2);
            t.stats("").await;
        }
        let before = t.named("s").await;
        let old = change(old_chat("s", &["1", "2", "3", "4"]), |conversation| conversation.title = "new".to_owned());
        assert_eq!(t.imported(vec![old]).await, (0, 2, 2));
        let newest = t.ok(make::list(&id)).await.messages;
        assert_eq!(bodies(&newest), ["4", "3", "live", "2"], "what was deleted does not come back");
        let after = t.ok(make::get_conversation(&id)).await;
        assert_eq!((after.message_count, after.last_message_at), (4, before.last_message_at));
        assert_eq!((after.title.as_str(), &after.etag), ("", &before.etag));
        check_stats(&t).await;
        t.ok(make::delete_conversation(&id)).await;
        assert_eq!(t.imported(vec![old_chat("s", &["1", "2"])]).await, (1, 2, 0), "a new one");
    }

    async fn a_long_one_comes_in_parts(t: Caller) {
        let parts = |offsets: [Option<i64>; 3]| {
            let part = |(said, offset): (&[&str], _)| Old { offset, ..old_chat("s", said) };
            [&["1", "2"][..], &["3"], &["4", "5"]].into_iter().zip(offsets).map(part).collect::<Vec<_>>()
        };
        assert_eq!(t.imported(parts([None; 3])).await, (1, 5, 0));
        assert_eq!(t.imported(parts([Some(0), Some(2), Some(3)])).await, (0, 0, 5));
        assert_eq!(bodies(&said(&t, "s").await), ["1", "2", "3", "4", "5"]);
        // Over the end of what is there, and beyond it.
        let mut late = parts([Some(4), Some(5), Some(9)]);
        late[0].messages[0].body = "5".to_owned();
        late[0].messages[1].body = "6".to_owned();
        late[1].messages[0].body = "6".to_owned();
        let reply = t.import(late).await.unwrap();
        assert_eq!((reply.imported_messages, reply.skipped, reply.error_count), (1, 2, 1));
        assert_eq!((reply.errors[0].index, reply.errors[0].reason.as_str()), (2, "IMPORT_INCOMPLETE"));
        assert_eq!(bodies(&said(&t, "s").await), ["1", "2", "3", "4", "5", "6"]);
        // A part that is wrong keeps the next one out of its places.
        let mut broken = parts([None; 3]);
        for part in &mut broken {
            part.conversation.as_mut().unwrap().external_id = "other".to_owned();
        }
        broken[1].messages[0].status = v1::MessageStatus::Pending.into();
        let reply = t.import(broken).await.unwrap();
        let errors: Vec<_> = reply.errors.iter().map(|e| (e.index, e.reason.as_str(), e.external_id.as_str())).collect();
        assert_eq!(errors, [(1, "INVALID_REQUEST", "other"), (2, "IMPORT_INCOMPLETE", "other")]);
        assert_eq!(bodies(&said(&t, "other").await), ["1", "2"]);
        check_stats(&t).await;
    }

    /// More than is written together, and on Postgres in more than one transaction at once.
    async fn the_parts_of_a_long_one_wait_for_one_another(t: Caller) {
        let part = |part: usize| {
            let said: Vec<String> = (part * 700..(part + 1) * 700).map(|n| n.to_string()).collect();
            old_chat("s", &said.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(t.imported((0..6).map(part).collect()).await, (1, 4_200, 0));
        let found = said(&t, "s").await;
        let numbers: Vec<String> = (0..4_200).map(|n| n.to_string()).collect();
        assert_eq!(bodies(&found), numbers);
        assert!(found.iter().zip(1..).all(|(message, place)| message.sequence == place));
    }

    async fn what_is_wrong_is_named_and_the_rest_is_written(t: Caller) {
        let pair = make::phones();
        t.ok(make::create(&pair)).await;
        t.ok(make::create_chat("taken")).await;
        let carried = |name: &str| {
            let mut old = old_sms(name, &make::phones(), "hi");
            old.messages[0].provider = "twilio".to_owned();
            old.messages[0].provider_message_id = "SM1".to_owned();
            old
        };
        let mut too_long = old_chat("too long", &["x"]);
        too_long.messages[0].body = "x".repeat(256 * 1024 + 1);
        let second_pair = make::phones();
        let reply = t
            .import(vec![
                old_chat("a", &["1"]),
                Old::default(),
                too_long,
                old_chat("taken", &["1"]),
                old_sms("pair", &pair, "hi"),
                carried("first"),
                carried("second"),
                old_sms("b", &second_pair, "hi"),
                old_sms("c", &second_pair, "hi"),
                change(old_sms("d", &second_pair, "hi"), |c| c.status = v1::ConversationStatus::Closed.into()),
                change(old_sms("a", &make::phones(), "hi"), |_| ()),
                old_chat("z", &["1"]),
            ])
            .await
            .unwrap();
        let mut errors: Vec<_> = reply.errors.iter().map(|error| (error.index, error.reason.as_str())).collect();
        errors.sort_unstable();
        assert_eq!(errors, [
            (1, "INVALID_REQUEST"), (2, "INVALID_REQUEST"), (3, "EXTERNAL_ID_TAKEN"), (4, "CONVERSATION_EXISTS"),
            (6, "PROVIDER_MESSAGE_ID_TAKEN"), (8, "CONVERSATION_EXISTS"), (10, "EXTERNAL_ID_TAKEN"),
        ]);
        let wrong = reply.errors.iter().find(|error| error.index == 2).unwrap();
        assert!(wrong.description.starts_with("messages[0].body: "), "{}", wrong.description);
        assert_eq!((reply.imported_conversations, reply.imported_messages, reply.error_count), (5, 5, 7));
        for name in ["a", "first", "b", "d", "z"] {
            assert_eq!(said(&t, name).await.len(), 1, "{name}");
        }
        check_stats(&t).await;
    }

    async fn only_the_first_thousand_refusals_are_told(t: Caller) {
        let reply = t.import(vec![Old::default(); 1_100]).await.unwrap();
        assert_eq!((reply.errors.len(), reply.error_count), (1_000, 1_100));
        assert!(reply.errors.iter().zip(0..).all(|(error, index)| error.index == index));
    }

    /// It is not added to: nobody knows which of its messages are old.
    async fn what_no_import_made_is_passed_over_if_it_has_all(t: Caller) {
        let first = t.ok(chat("s", "1")).await;
        let second = t.ok(chat("s", "2")).await;
        let mut old = old_chat("s", &["1", "2"]);
        old.messages[1].role = v1::Role::User.into();
        (old.messages[0].created_at, old.messages[1].created_at) = (first.created_at, second.created_at);
        assert_eq!(t.imported(vec![old.clone()]).await, (0, 0, 2));
        old.messages.push(old.messages[1].clone());
        let reply = t.import(vec![old]).await.unwrap();
        assert_eq!((reply.skipped, reply.errors[0].reason.as_str()), (0, "EXTERNAL_ID_TAKEN"), "one is not two");
        assert_eq!(bodies(&said(&t, "s").await), ["1", "2"]);
    }

    async fn four_who_bring_the_same_at_once_bring_it_once(t: Caller) {
        let old = many(60, 7);
        let importers: Vec<_> = (0..4)
            .map(|n| {
                let (t, mut old) = (t.clone(), old.clone());
                // Not all in one order: they meet everywhere.
                old.rotate_left(n * 15);
                if n % 2 == 1 {
                    old.reverse();
                }
                tokio::spawn(async move { t.imported(old).await })
            })
            .collect();
        let mut sum = (0, 0, 0);
        for importer in importers {
            let one = importer.await.unwrap();
            sum = (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2);
        }
        assert_eq!(sum, (60, 420, 3 * 420));
        for old in &old {
            let found = said(&t, &old.conversation.as_ref().unwrap().external_id).await;
            assert_eq!(bodies(&found), bodies(&old.messages));
            assert!(found.iter().zip(1..).all(|(message, place)| message.sequence == place));
        }
        check_stats(&t).await;
    }

    /// Sends are in the way of an import, and it of them: both have their places.
    async fn sends_go_on_meanwhile(t: Caller) {
        t.imported(vec![old_chat("s", &["0"])]).await;
        let sending = async {
            for n in 0..40 {
                t.ok(chat("s", &format!("live {n}"))).await;
            }
        };
        let importing = async {
            let said: Vec<String> = (0..40).map(|n| n.to_string()).collect();
            for end in 2..=40 {
                let said: Vec<&str> = said[..end].iter().map(String::as_str).collect();
                let done = t.imported(vec![old_chat("s", &said)]).await;
                assert_eq!(done, (0, 1, i64::try_from(end).unwrap() - 1));
            }
        };
        tokio::join!(sending, importing);
        let all = said(&t, "s").await;
        assert!(all.iter().zip(1..).all(|(message, place)| message.sequence == place));
        let (live, old): (Vec<_>, Vec<_>) = all.into_iter().partition(|m| m.body.starts_with("live"));
        let numbers = |start: &str| (0..40).map(|n| format!("{start}{n}")).collect::<Vec<_>>();
        assert_eq!((bodies(&live), bodies(&old)), (
            numbers("live ").iter().map(String::as_str).collect(), numbers("").iter().map(String::as_str).collect(),
        ));
        check_stats(&t).await;
    }

    async fn watchers_hear_of_conversations_not_of_messages(t: Caller) {
        use EventType::{ConversationCreated, ConversationUpdated, MessageCreated};
        let mut events = t.watch_from("").await;
        t.imported(many(2, 50)).await;
        t.imported(many(2, 51)).await;
        t.imported(many(2, 51)).await;
        t.ok(chat("", "the last")).await;
        let heard = events.until(|event| event.r#type() == EventType::MessageCreated).await;
        let kinds: Vec<_> = heard.iter().map(v1::Event::r#type).collect();
        assert_eq!(kinds, [
            ConversationCreated, ConversationCreated, ConversationUpdated, ConversationUpdated, ConversationCreated,
            MessageCreated,
        ]);
        assert_eq!(heard[3].conversation.as_ref().unwrap().message_count, 51);
    }

    async fn who_says_no_times_gets_some(t: Caller) {
        let mut old = old_chat("s", &["1", "2"]);
        old.conversation.as_mut().unwrap().created_at = None;
        old.messages[1].created_at = None;
        t.imported(vec![old]).await;
        let messages = said(&t, "s").await;
        assert_eq!(t.named("s").await.created_at, Some(at(1_600_000_000)));
        assert_eq!(messages[1].created_at, messages[0].created_at);
        let mut old = old_chat("none", &["1"]);
        old.conversation.as_mut().unwrap().created_at = None;
        old.messages[0].created_at = None;
        t.imported(vec![old]).await;
        let found = t.named("none").await;
        assert!(found.created_at.unwrap().seconds > 1_700_000_000);
        assert_eq!(found.last_message_at, found.created_at);
    }

    async fn an_empty_conversation_is_one(t: Caller) {
        assert_eq!(t.imported(vec![old_chat("s", &[])]).await, (1, 0, 0));
        assert_eq!(t.imported(vec![old_chat("s", &[])]).await, (0, 0, 0));
        assert_eq!(t.imported(vec![]).await, (0, 0, 0));
        assert_eq!(t.named("s").await.last_message_at, None);
        check_stats(&t).await;
    }
}
