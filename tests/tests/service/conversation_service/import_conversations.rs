//! `ImportConversations`.

use parlance_proto::v1::{self, EventType, ImportConversationsRequest as Import};
use parlance_tests::Caller;
use parlance_tests::make::{self, at, chat, imported_chat, imported_sms, search};

fn bodies(messages: &[v1::Message]) -> Vec<&str> {
    messages.iter().map(|m| m.body.as_str()).collect()
}

/// Messages of the conversation with this external id.
async fn messages_of(t: &Caller, name: &str) -> Vec<v1::Message> {
    let id = t.by_external_id(name).await.id;
    t.all_messages(&id).await
}

/// A number of chats with a number of messages each.
fn many(chats: usize, messages: usize) -> Vec<Import> {
    let import = |chat| {
        let bodies: Vec<String> = (0..messages).map(|n| format!("{chat} {n}")).collect();
        let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
        imported_chat(&format!("chat {chat}"), &bodies)
    };
    (0..chats).map(import).collect()
}

fn change(mut import: Import, change: impl FnOnce(&mut v1::Conversation)) -> Import {
    change(import.conversation.as_mut().unwrap());
    import
}

async fn check_stats(t: &Caller) {
    assert_eq!(t.stats("").await, t.stats_by_reading("").await);
}

on_both! {
    async fn imported_chats_keep_their_fields(t: Caller) {
        let mut import = change(imported_chat("s1", &["hello", "good day", ""]), |conversation| {
            conversation.user = "ana".to_owned();
            conversation.title = "parcels".to_owned();
            conversation.status = v1::ConversationStatus::Archived.into();
            conversation.metadata = Some(make::json("page", "cart"));
        });
        let reply = &mut import.messages[1];
        (reply.tokens_used, reply.latency_ms) = (Some(42), Some(900));
        reply.metadata = Some(make::json("model", "x"));
        reply.created_at = Some(prost_types::Timestamp { seconds: 1_600_000_500, nanos: 123_456_000 });
        // Its `created_at` is older than that of the message before it; the order of the request counts.
        import.messages[2].role = v1::Role::System.into();
        assert_eq!(t.imported(vec![import.clone()]).await, (1, 3, 0));
        let found = t.by_external_id("s1").await;
        let given = import.conversation.unwrap();
        assert_eq!((&found.user, &found.title, found.status), (&given.user, &given.title, given.status));
        assert_eq!((found.metadata.clone(), found.created_at), (given.metadata, given.created_at));
        assert_eq!((found.message_count, found.unread_count), (3, 0));
        assert_eq!(found.last_message_at.unwrap().seconds, 1_600_000_500);
        let messages = t.all_messages(&found.id).await;
        for (sequence, (message, import)) in (1..).zip(messages.iter().zip(&import.messages)) {
            assert_eq!(message.sequence, sequence);
            assert_eq!((&message.body, message.role, message.created_at), (&import.body, import.role, import.created_at));
            assert_eq!((message.tokens_used, message.latency_ms), (import.tokens_used, import.latency_ms));
            assert_eq!((&message.metadata, message.status()), (&import.metadata, v1::MessageStatus::Delivered));
            assert_eq!(message.delivered_at, import.created_at);
        }
        check_stats(&t).await;
        assert_eq!(t.stats("ana").await.tokens_used, 42);
        let page = t.ok(search("day parcels")).await;
        assert_eq!(page.results.len(), 1);
        assert_eq!(t.other().stats("").await, v1::Stats::default(), "another owner has no statistics");
    }

    async fn recipients_of_an_imported_mail_are_deduplicated(t: Caller) {
        let pair = make::mail_addresses();
        let (local, domain) = pair.ours.split_once('@').unwrap();
        let recipient = format!("{local}@{}", domain.to_uppercase());
        let mut import = change(imported_sms("ticket 8", &pair, "hi"), |conversation| {
            conversation.channel = v1::Channel::Email.into();
        });
        let given = ["Ann@EXAMPLE.com", &recipient, "Ann@example.com", "bob@example.com"];
        import.messages[0].cc_addresses = given.map(str::to_owned).to_vec();
        assert_eq!(t.imported(vec![import]).await, (1, 1, 0));
        let messages = messages_of(&t, "ticket 8").await;
        assert_eq!(messages[0].to_address, pair.ours);
        assert_eq!(messages[0].cc_addresses, ["Ann@example.com", "bob@example.com"]);
    }

    async fn imported_text_messages_are_not_sent(t: Caller) {
        use v1::MessageStatus::{Delivered, Failed, Received};
        let pair = make::phones();
        let mut import = imported_sms("ticket 7", &pair, "are you there?");
        import.messages.extend([v1::MessageStatus::Failed, v1::MessageStatus::Unspecified].map(|status| v1::Message {
            direction: v1::Direction::Outbound.into(),
            status: status.into(),
            body: "yes".to_owned(),
            ..Default::default()
        }));
        import.messages[1].error = Some(v1::MessageError { code: "SPAM".to_owned(), ..Default::default() });
        import.messages[2].attachments.push(v1::Attachment {
            filename: "cat.png".to_owned(), content_type: "image/png".to_owned(), size_bytes: 3,
            url: "https://cats.example/1".to_owned(), ..Default::default()
        });
        assert_eq!(t.imported(vec![import]).await, (1, 3, 0));
        let messages = messages_of(&t, "ticket 7").await;
        let statuses: Vec<_> = messages.iter().map(v1::Message::status).collect();
        assert_eq!(statuses, [Received, Failed, Delivered]);
        assert_eq!(messages[1].error.as_ref().unwrap().code, "SPAM");
        assert_eq!(messages[1].created_at, messages[0].created_at, "taken from the message before");
        assert_eq!((messages[2].channel(), messages[2].attachments.len()), (v1::Channel::Mms, 1));
        assert_eq!((&messages[0].to_address, &messages[1].to_address), (&pair.ours, &pair.theirs));
        // A message sent afterwards goes out in the same conversation, and is the first that the simulated network
        // receives.
        let sent = t.ok(make::sms(&pair, "now")).await;
        assert_eq!((sent.conversation_id, sent.sequence), (messages[0].conversation_id.clone(), 4));
        let seen = parlance_testkit::eventually(parlance_tests::SOON, async || {
            let seen = t.ok(make::list_sent(&pair.theirs)).await.messages;
            (!seen.is_empty()).then_some(seen)
        })
        .await;
        assert_eq!(seen.len(), 1);
        let found = t.by_external_id("ticket 7").await;
        assert_eq!(found.unread_count, 0);
        let marked = t.ok(v1::MarkAsUnreadRequest { id: found.id }).await;
        assert_eq!(marked.unread_count, 1, "an imported inbound message counts as inbound");
        assert_eq!(t.ok(make::list_message_events(&messages[1].id)).await.events, []);
        // The status of the sent message may still change between the two reads.
        parlance_testkit::eventually(parlance_tests::SOON, async || {
            (t.stats("").await == t.stats_by_reading("").await).then_some(())
        })
        .await;
    }

    async fn existing_messages_are_skipped_and_missing_ones_added(t: Caller) {
        assert_eq!(t.imported(vec![imported_chat("s", &["1", "2"])]).await, (1, 2, 0));
        assert_eq!(t.imported(vec![imported_chat("s", &["1", "2"])]).await, (0, 0, 2));
        let live = t.ok(chat("s", "live")).await;
        t.ok(make::delete_message(&messages_of(&t, "s").await[0].id)).await;
        let id = live.conversation_id;
        // Fills the in-process cache, if there is one.
        for _ in 0..3 {
            assert_eq!(bodies(&t.ok(make::list(&id)).await.messages), ["live", "2"]);
            assert_eq!(t.ok(make::get_conversation(&id)).await.message_count, 2);
            t.stats("").await;
        }
        let before = t.by_external_id("s").await;
        let import = change(imported_chat("s", &["1", "2", "3", "4"]), |conversation| conversation.title = "new".to_owned());
        assert_eq!(t.imported(vec![import]).await, (0, 2, 2));
        let newest = t.ok(make::list(&id)).await.messages;
        assert_eq!(bodies(&newest), ["4", "3", "live", "2"], "a deleted message is not imported again");
        let after = t.ok(make::get_conversation(&id)).await;
        assert_eq!((after.message_count, after.last_message_at), (4, before.last_message_at));
        assert_eq!((after.title.as_str(), &after.etag), ("", &before.etag));
        check_stats(&t).await;
        t.ok(make::delete_conversation(&id)).await;
        assert_eq!(t.imported(vec![imported_chat("s", &["1", "2"])]).await, (1, 2, 0), "a new conversation");
    }

    async fn a_conversation_can_be_imported_in_parts(t: Caller) {
        let parts = |offsets: [Option<i64>; 3]| {
            let part = |(texts, offset): (&[&str], _)| Import { offset, ..imported_chat("s", texts) };
            [&["1", "2"][..], &["3"], &["4", "5"]].into_iter().zip(offsets).map(part).collect::<Vec<_>>()
        };
        assert_eq!(t.imported(parts([None; 3])).await, (1, 5, 0));
        assert_eq!(t.imported(parts([Some(0), Some(2), Some(3)])).await, (0, 0, 5));
        assert_eq!(bodies(&messages_of(&t, "s").await), ["1", "2", "3", "4", "5"]);
        // Parts that overlap the end of the stored messages, or leave a gap after it.
        let mut late = parts([Some(4), Some(5), Some(9)]);
        late[0].messages[0].body = "5".to_owned();
        late[0].messages[1].body = "6".to_owned();
        late[1].messages[0].body = "6".to_owned();
        let reply = t.import(late).await.unwrap();
        assert_eq!((reply.imported_messages, reply.skipped, reply.error_count), (1, 2, 1));
        assert_eq!((reply.errors[0].index, reply.errors[0].reason.as_str()), (2, "IMPORT_INCOMPLETE"));
        assert_eq!(bodies(&messages_of(&t, "s").await), ["1", "2", "3", "4", "5", "6"]);
        // An invalid part makes the next one fail, too.
        let mut broken = parts([None; 3]);
        for part in &mut broken {
            part.conversation.as_mut().unwrap().external_id = "other".to_owned();
        }
        broken[1].messages[0].status = v1::MessageStatus::Pending.into();
        let reply = t.import(broken).await.unwrap();
        let errors: Vec<_> = reply.errors.iter().map(|e| (e.index, e.reason.as_str(), e.external_id.as_str())).collect();
        assert_eq!(errors, [(1, "INVALID_REQUEST", "other"), (2, "IMPORT_INCOMPLETE", "other")]);
        assert_eq!(bodies(&messages_of(&t, "other").await), ["1", "2"]);
        check_stats(&t).await;
    }

    /// More messages than are written in one transaction; on Postgres several transactions run at once.
    async fn parts_of_a_conversation_are_imported_in_order(t: Caller) {
        let part = |part: usize| {
            let texts: Vec<String> = (part * 700..(part + 1) * 700).map(|n| n.to_string()).collect();
            imported_chat("s", &texts.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(t.imported((0..6).map(part).collect()).await, (1, 4_200, 0));
        let found = messages_of(&t, "s").await;
        let numbers: Vec<String> = (0..4_200).map(|n| n.to_string()).collect();
        assert_eq!(bodies(&found), numbers);
        assert!(found.iter().zip(1..).all(|(message, sequence)| message.sequence == sequence));
    }

    async fn invalid_conversations_are_reported_and_the_others_imported(t: Caller) {
        let pair = make::phones();
        t.ok(make::create(&pair)).await;
        t.ok(make::create_chat("taken")).await;
        let with_provider_id = |name: &str| {
            let mut import = imported_sms(name, &make::phones(), "hi");
            import.messages[0].provider = "twilio".to_owned();
            import.messages[0].provider_message_id = "SM1".to_owned();
            import
        };
        let mut too_long = imported_chat("too long", &["x"]);
        too_long.messages[0].body = "x".repeat(256 * 1024 + 1);
        let second_pair = make::phones();
        let reply = t
            .import(vec![
                imported_chat("a", &["1"]),
                Import::default(),
                too_long,
                imported_chat("taken", &["1"]),
                imported_sms("pair", &pair, "hi"),
                with_provider_id("first"),
                with_provider_id("second"),
                imported_sms("b", &second_pair, "hi"),
                imported_sms("c", &second_pair, "hi"),
                change(imported_sms("d", &second_pair, "hi"), |c| c.status = v1::ConversationStatus::Closed.into()),
                change(imported_sms("a", &make::phones(), "hi"), |_| ()),
                imported_chat("z", &["1"]),
            ])
            .await
            .unwrap();
        let mut errors: Vec<_> = reply.errors.iter().map(|error| (error.index, error.reason.as_str())).collect();
        errors.sort_unstable();
        assert_eq!(errors, [
            (1, "INVALID_REQUEST"), (2, "INVALID_REQUEST"), (3, "EXTERNAL_ID_TAKEN"), (4, "CONVERSATION_EXISTS"),
            (6, "PROVIDER_MESSAGE_ID_TAKEN"), (8, "CONVERSATION_EXISTS"), (10, "EXTERNAL_ID_TAKEN"),
        ]);
        let error = reply.errors.iter().find(|e| e.index == 2).unwrap();
        assert!(error.description.starts_with("messages[0].body: "), "{}", error.description);
        assert_eq!((reply.imported_conversations, reply.imported_messages, reply.error_count), (5, 5, 7));
        for name in ["a", "first", "b", "d", "z"] {
            assert_eq!(messages_of(&t, name).await.len(), 1, "{name}");
        }
        check_stats(&t).await;
    }

    async fn only_the_first_thousand_errors_are_returned(t: Caller) {
        let reply = t.import(vec![Import::default(); 1_100]).await.unwrap();
        assert_eq!((reply.errors.len(), reply.error_count), (1_000, 1_100));
        assert!(reply.errors.iter().zip(0..).all(|(error, index)| error.index == index));
    }

    /// No messages are added to such a conversation: the importer cannot know which of its messages were imported
    /// before.
    async fn live_conversations_are_skipped_if_they_have_all_messages(t: Caller) {
        let first = t.ok(chat("s", "1")).await;
        let second = t.ok(chat("s", "2")).await;
        let mut import = imported_chat("s", &["1", "2"]);
        import.messages[1].role = v1::Role::User.into();
        (import.messages[0].created_at, import.messages[1].created_at) = (first.created_at, second.created_at);
        assert_eq!(t.imported(vec![import.clone()]).await, (0, 0, 2));
        import.messages.push(import.messages[1].clone());
        let reply = t.import(vec![import]).await.unwrap();
        assert_eq!((reply.skipped, reply.errors[0].reason.as_str()), (0, "EXTERNAL_ID_TAKEN"), "two equal messages do not match one");
        assert_eq!(bodies(&messages_of(&t, "s").await), ["1", "2"]);
    }

    async fn concurrent_imports_of_the_same_import_once(t: Caller) {
        let import = many(60, 7);
        let importers: Vec<_> = (0..4)
            .map(|n| {
                let (t, mut import) = (t.clone(), import.clone());
                // In different orders, so that the importers conflict everywhere.
                import.rotate_left(n * 15);
                if n % 2 == 1 {
                    import.reverse();
                }
                tokio::spawn(async move { t.imported(import).await })
            })
            .collect();
        let mut sum = (0, 0, 0);
        for importer in importers {
            let one = importer.await.unwrap();
            sum = (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2);
        }
        assert_eq!(sum, (60, 420, 3 * 420));
        for import in &import {
            let found = messages_of(&t, &import.conversation.as_ref().unwrap().external_id).await;
            assert_eq!(bodies(&found), bodies(&import.messages));
            assert!(found.iter().zip(1..).all(|(message, sequence)| message.sequence == sequence));
        }
        check_stats(&t).await;
    }

    /// Sends and an import conflict; each gets sequences of its own.
    async fn sends_continue_during_an_import(t: Caller) {
        t.imported(vec![imported_chat("s", &["0"])]).await;
        let sending = async {
            for n in 0..40 {
                t.ok(chat("s", &format!("live {n}"))).await;
            }
        };
        let importing = async {
            let texts: Vec<String> = (0..40).map(|n| n.to_string()).collect();
            for end in 2..=40 {
                let texts: Vec<&str> = texts[..end].iter().map(String::as_str).collect();
                let done = t.imported(vec![imported_chat("s", &texts)]).await;
                assert_eq!(done, (0, 1, i64::try_from(end).unwrap() - 1));
            }
        };
        tokio::join!(sending, importing);
        let all = messages_of(&t, "s").await;
        assert!(all.iter().zip(1..).all(|(message, sequence)| message.sequence == sequence));
        let (live, import): (Vec<_>, Vec<_>) = all.into_iter().partition(|m| m.body.starts_with("live"));
        let numbers = |start: &str| (0..40).map(|n| format!("{start}{n}")).collect::<Vec<_>>();
        assert_eq!((bodies(&live), bodies(&import)), (
            numbers("live ").iter().map(String::as_str).collect(), numbers("").iter().map(String::as_str).collect(),
        ));
        check_stats(&t).await;
    }

    async fn watchers_receive_events_of_imported_conversations_not_messages(t: Caller) {
        use EventType::{ConversationCreated, ConversationUpdated, MessageCreated};
        let mut events = t.watch_from("").await;
        t.imported(many(2, 50)).await;
        t.imported(many(2, 51)).await;
        t.imported(many(2, 51)).await;
        t.ok(chat("", "the last")).await;
        let received = events.until(|event| event.r#type() == EventType::MessageCreated).await;
        let kinds: Vec<_> = received.iter().map(v1::Event::r#type).collect();
        assert_eq!(kinds, [
            ConversationCreated, ConversationCreated, ConversationUpdated, ConversationUpdated, ConversationCreated,
            MessageCreated,
        ]);
        assert_eq!(received[3].conversation.as_ref().unwrap().message_count, 51);
    }

    async fn missing_times_are_filled_in(t: Caller) {
        let mut import = imported_chat("s", &["1", "2"]);
        import.conversation.as_mut().unwrap().created_at = None;
        import.messages[1].created_at = None;
        t.imported(vec![import]).await;
        let messages = messages_of(&t, "s").await;
        assert_eq!(t.by_external_id("s").await.created_at, Some(at(1_600_000_000)));
        assert_eq!(messages[1].created_at, messages[0].created_at);
        let mut import = imported_chat("none", &["1"]);
        import.conversation.as_mut().unwrap().created_at = None;
        import.messages[0].created_at = None;
        t.imported(vec![import]).await;
        let found = t.by_external_id("none").await;
        assert!(found.created_at.unwrap().seconds > 1_700_000_000);
        assert_eq!(found.last_message_at, found.created_at);
    }

    async fn an_empty_conversation_is_imported(t: Caller) {
        assert_eq!(t.imported(vec![imported_chat("s", &[])]).await, (1, 0, 0));
        assert_eq!(t.imported(vec![imported_chat("s", &[])]).await, (0, 0, 0));
        assert_eq!(t.imported(vec![]).await, (0, 0, 0));
        assert_eq!(t.by_external_id("s").await.last_message_at, None);
        check_stats(&t).await;
    }
}
