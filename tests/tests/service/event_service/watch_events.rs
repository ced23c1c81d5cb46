//! `WatchEvents`.

use parlance_proto::v1::{self, EventType, MessageStatus, WatchEventsRequest as Watch};
use parlance_tests::make::{self, chat, edit, edit_message, inbound_sms, sms};
use parlance_tests::{Caller, Refusal};
use tonic::Code;

fn kinds(events: &[v1::Event]) -> Vec<EventType> {
    events.iter().map(v1::Event::r#type).collect()
}

fn bodies(events: &[v1::Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| event.message.as_ref())
        .map(|message| message.body.as_str())
        .collect()
}

on_both! {
    async fn every_change_is_an_event_in_order(t: Caller) {
        use EventType::{
            ConversationCreated, ConversationDeleted, ConversationUpdated, MessageCreated, MessageDeleted,
            MessageStatusChanged, MessageUpdated,
        };
        let mut events = t.watch_from("").await;
        let pair = t.pair().await;
        let sent = t.ok(sms(&pair, "1")).await;
        let id = sent.conversation_id.clone();
        let received = t.ok(inbound_sms(&pair, "2")).await;
        let moved = t.ok(make::report(&sent.id, MessageStatus::Sent)).await;
        t.ok(make::report(&sent.id, MessageStatus::Sent)).await;
        let edited = t.ok(edit_message(&sent.id, &[], |m| m.metadata = Some(make::json("a", "b")))).await;
        let titled = t.ok(edit(&id, &[], |c| c.title = "t".to_owned())).await;
        t.ok(make::delete_message(&received.id)).await;
        t.ok(make::delete_conversation(&id)).await;

        let events = events.until(|event| event.r#type() == ConversationDeleted).await;
        assert_eq!(kinds(&events), [
            ConversationCreated, MessageCreated, MessageCreated, MessageStatusChanged, MessageUpdated, ConversationUpdated,
            MessageDeleted, ConversationDeleted,
        ]);
        assert!(events.iter().all(|event| event.conversation_id == id && event.time.is_some() && !event.cursor.is_empty()));
        assert_eq!(events[0].conversation.as_ref().unwrap().participant_to, pair.theirs);
        let shown: Vec<_> = events.iter().filter_map(|event| event.message.clone()).collect();
        assert_eq!(shown, [sent.clone(), received.clone(), moved, edited], "the state at the time of each event");
        assert_eq!(events[5].conversation, Some(titled));
        let deleted = (&events[6].message_id, &events[6].message);
        assert_eq!(deleted, (&received.id, &None));
        assert_eq!((&events[7].message_id, &events[7].conversation), (&String::new(), &None));
        let of_messages = [1, 2, 3, 4, 6].map(|n| events[n].message_id.as_str());
        assert_eq!(of_messages, [&sent.id, &received.id, &sent.id, &sent.id, &received.id].map(String::as_str));
    }

    async fn an_empty_cursor_starts_with_new_events(t: Caller) {
        t.ok(chat("talk", "before")).await;
        let mut events = t.watch_from("").await;
        t.ok(chat("talk", "after")).await;
        let event = events.next().await.unwrap();
        assert_eq!(event.message.unwrap().body, "after");
    }

    async fn cursor_zero_starts_with_the_oldest_retained_event(t: Caller) {
        for n in 0..5 {
            t.ok(chat("talk", &n.to_string())).await;
        }
        let events = t.watch_from("0").await.take(6).await;
        assert_eq!(events[0].r#type(), EventType::ConversationCreated);
        assert_eq!(bodies(&events), ["0", "1", "2", "3", "4"]);
    }

    async fn resumed_watches_neither_miss_nor_repeat_events(t: Caller) {
        const COUNT: usize = 60;
        let writer = t.clone();
        let writing = tokio::spawn(async move {
            for n in 0..COUNT {
                writer.ok(chat("talk", &n.to_string())).await;
            }
        });
        let mut seen = Vec::new();
        let mut cursor = "0".to_owned();
        while seen.len() < COUNT {
            let mut events = t.watch_from(&cursor).await;
            // A few at a time, so that a watch switches from stored to live events at every position.
            for event in events.take((COUNT - seen.len()).min(1 + seen.len() % 7)).await {
                cursor = event.cursor;
                seen.extend(event.message.map(|message| message.body));
            }
        }
        writing.await.unwrap();
        let expected: Vec<String> = (0..COUNT).map(|n| n.to_string()).collect();
        assert_eq!(seen, expected);
    }

    async fn a_cursor_can_be_used_again(t: Caller) {
        for n in 0..4 {
            t.ok(chat("talk", &n.to_string())).await;
        }
        let events = t.watch_from("0").await.take(5).await;
        for (index, event) in events.iter().enumerate().take(4) {
            let rest = t.watch_from(&event.cursor).await.take(4 - index).await;
            assert_eq!(rest, events[index + 1..]);
        }
    }

    async fn filters_select_events(t: Caller) {
        let watch = |change: fn(&mut Watch)| {
            let mut request = Watch { cursor: "0".to_owned(), ..Default::default() };
            change(&mut request);
            request
        };
        let ana = t.ok(v1::SendMessageRequest { user: "ana".to_owned(), ..chat("ana", "to ana") }).await;
        t.ok(v1::SendMessageRequest { user: "bob".to_owned(), ..chat("bob", "to bob") }).await;
        t.ok(make::report(&ana.id, MessageStatus::Read)).await;
        t.other().ok(chat("theirs", "not ours")).await;
        t.ok(chat("ana", "last of ana")).await;
        t.ok(chat("bob", "last of bob")).await;
        let last = |event: &v1::Event| event.message.as_ref().is_some_and(|message| message.body.starts_with("last"));

        let mut by_conversation = t.watch(Watch { conversation_id: ana.conversation_id.clone(), ..watch(|_| ()) }).await.unwrap();
        let of_ana = by_conversation.until(last).await;
        assert_eq!(of_ana.len(), 4);
        assert!(of_ana.iter().all(|event| event.conversation_id == ana.conversation_id));
        let of_bob = t.watch(watch(|w| w.user = "bob".to_owned())).await.unwrap().until(last).await;
        assert_eq!(bodies(&of_bob), ["to bob", "last of bob"]);
        let moves = t.watch(watch(|w| w.types = vec![EventType::MessageStatusChanged.into()])).await.unwrap().take(1).await;
        assert_eq!(moves[0].message_id, ana.id);
        let opened = watch(|w| w.types = vec![EventType::ConversationCreated.into(), EventType::ConversationDeleted.into()]);
        assert_eq!(kinds(&t.watch(opened).await.unwrap().take(2).await), [EventType::ConversationCreated; 2]);
        let both = watch(|w| { w.user = "ana".to_owned(); w.types = vec![EventType::MessageCreated.into()]; });
        assert_eq!(bodies(&t.watch(both).await.unwrap().take(2).await), ["to ana", "last of ana"]);

        // The same filters apply to live events.
        let mut live = t.watch(Watch { user: "bob".to_owned(), ..Default::default() }).await.unwrap();
        t.other().ok(v1::SendMessageRequest { user: "bob".to_owned(), ..chat("x", "not ours") }).await;
        t.ok(chat("ana", "not bob's")).await;
        t.ok(chat("bob", "bob's")).await;
        assert_eq!(bodies(&live.take(1).await), ["bob's"]);
    }

    /// The feed does not return deleted content.
    async fn the_feed_has_no_content_of_deleted_messages(t: Caller) {
        let deleted = t.ok(chat("talk", "secret")).await;
        t.ok(edit_message(&deleted.id, &[], |m| m.body = "secret again".to_owned())).await;
        t.ok(make::delete_message(&deleted.id)).await;
        t.ok(chat("talk", "last")).await;
        let events = t.watch_from("0").await.until(|event| bodies(std::slice::from_ref(event)) == ["last"]).await;
        assert!(!format!("{events:?}").contains("secret"), "{events:#?}");
        assert!(kinds(&events).contains(&EventType::MessageDeleted));
    }

    async fn the_feed_has_no_content_of_deleted_conversations(t: Caller) {
        let id = t.ok(v1::SendMessageRequest { metadata: Some(make::json("a", "secret")), ..chat("", "secret") }).await.conversation_id;
        t.ok(edit(&id, &[], |c| c.title = "secret title".to_owned())).await;
        t.ok(make::delete_conversation(&id)).await;
        let events = t.watch_from("0").await.until(|event| event.r#type() == EventType::ConversationDeleted).await;
        assert!(!format!("{events:?}").contains("secret"), "{events:#?}");
    }

    async fn a_watched_conversation_may_be_deleted(t: Caller) {
        let id = t.ok(chat("", "hi")).await.conversation_id;
        let mut events = t.watch(Watch { conversation_id: id.clone(), ..Default::default() }).await.unwrap();
        t.ok(make::delete_conversation(&id)).await;
        let last = events.until(|event| event.r#type() == EventType::ConversationDeleted).await;
        assert_eq!(last.last().unwrap().conversation_id, id);
        let refused = t.watch(Watch { conversation_id: id, ..Default::default() }).await.unwrap_err();
        assert_eq!(Refusal::of(&refused).code_and_reason(), (Code::NotFound, "CONVERSATION_NOT_FOUND"));
    }

    async fn many_watchers_receive_the_same_events(t: Caller) {
        let mut watchers = Vec::new();
        for _ in 0..20 {
            watchers.push(t.watch_from("").await);
        }
        for n in 0..5 {
            t.ok(chat("talk", &n.to_string())).await;
        }
        let mut first = watchers.swap_remove(0);
        let expected = first.take(6).await;
        for mut watcher in watchers {
            assert_eq!(watcher.take(6).await, expected);
        }
    }

    /// Unread events fill the buffers of the connection and of the service; then the watch ends with a cursor to resume
    /// from.
    async fn a_slow_watcher_is_disconnected_with_a_cursor(t: Caller) {
        const COUNT: usize = 1_300;
        let slow = t.reconnected(|endpoint| endpoint.initial_stream_window_size(1_024).initial_connection_window_size(65_535));
        let mut events = slow.watch_from("").await;
        let large = "x".repeat(100 * 1024);
        for _ in 0..3 {
            t.ok(chat("talk", &large)).await;
        }
        let writers = (0..8).map(|writer| {
            let t = t.clone();
            async move {
                for _ in 0..COUNT / 8 {
                    t.ok_retrying(chat(&format!("talk {writer}"), "hi")).await;
                }
            }
        });
        futures_util::future::join_all(writers).await;
        let refusal = Refusal::of(&events.end().await);
        assert_eq!(refusal.code_and_reason(), (Code::ResourceExhausted, "WATCHER_TOO_SLOW"));
        let resumed = t.watch_from(refusal.metadata("cursor")).await.next().await.unwrap();
        assert_ne!(resumed.cursor, refusal.metadata("cursor"));
    }
}
