//! `GetStats`, and the totals of lists.

use parlance_proto::v1::{self, ListConversationsRequest as List};
use parlance_tests::Caller;
use parlance_tests::make::{self, chat, inbound_sms, list, mail, report, set_status, sms};

const USERS: [&str; 3] = ["", "ana", "bob"];

async fn check(t: &Caller, after: &str) {
    for user in USERS {
        assert_eq!(
            t.stats(user).await,
            t.stats_by_reading(user).await,
            "{user:?} after {after}"
        );
    }
}

fn of(user: &str, request: v1::SendMessageRequest) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        user: user.to_owned(),
        ..request
    }
}

/// Small random numbers from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Random writes, concurrently with those of other tasks. A refused request changes nothing.
async fn work(t: Caller, seed: u64, chats: Vec<String>) {
    let mut dice = Dice(seed);
    let mut messages = Vec::new();
    let pick = move |dice: &mut Dice| {
        chats[usize::try_from(dice.roll(chats.len() as u64)).unwrap()].clone()
    };
    for n in 0..60 {
        let user = USERS[usize::try_from(dice.roll(3)).unwrap()];
        let tokens_used = Some(i64::try_from(dice.roll(100)).unwrap());
        match dice.roll(10) {
            0..=3 => {
                let message = v1::SendMessageRequest {
                    tokens_used,
                    ..of(user, chat(&pick(&mut dice), "hi"))
                };
                messages.extend(t.call(message).await.map(|m| (m.conversation_id, m.id)));
            }
            4 | 5 => {
                let pair = make::phones();
                let message = v1::ReceiveMessageRequest {
                    user: user.to_owned(),
                    ..inbound_sms(&pair, "hi")
                };
                messages.extend(t.call(message).await.map(|m| (m.conversation_id, m.id)));
            }
            _ if messages.is_empty() => {}
            step => {
                let (conversation, message) = messages[n * 7 % messages.len()].clone();
                let _ = match step {
                    6 => t
                        .call(report(&message, v1::MessageStatus::Read))
                        .await
                        .map(|_| ()),
                    7 => t.call(make::delete_message(&message)).await,
                    8 => t
                        .call(make::edit(&conversation, &["user"], |c| {
                            user.clone_into(&mut c.user);
                        }))
                        .await
                        .map(|_| ()),
                    _ if dice.roll(3) == 0 => {
                        t.call(make::delete_conversation(&conversation)).await
                    }
                    _ => t
                        .call(v1::MarkAsReadRequest {
                            id: conversation,
                            up_to_sequence: 0,
                        })
                        .await
                        .map(|_| ()),
                };
            }
        }
    }
}

on_both! {
    async fn statistics_follow_each_write(t: Caller) {
        assert_eq!(t.stats("").await, v1::Stats::default());
        let (one, emails) = (t.pair().await, t.mail_pair().await);
        let in_chat = v1::SendMessageRequest { tokens_used: Some(40), ..of("ana", chat("talk", "hi")) };
        let in_chat = t.ok(in_chat).await;
        let reply = v1::SendMessageRequest {
            tokens_used: Some(2), role: v1::Role::Assistant.into(), ..make::reply(&in_chat.conversation_id, "hello")
        };
        t.ok(reply).await;
        check(&t, "a chat").await;
        let sent = t.ok(of("ana", sms(&one, "hi"))).await;
        check(&t, "a text").await;
        t.ok(of("bob", mail(&emails, "hi"))).await;
        let received = t.ok(inbound_sms(&one, "yes?")).await;
        t.ok(inbound_sms(&one, "hello?")).await;
        check(&t, "answers").await;
        let stats = t.stats("").await;
        assert_eq!((stats.conversation_count, stats.message_count), (3, 6));
        assert_eq!((stats.unread_count, stats.tokens_used), (2, 42));
        t.ok(report(&sent.id, v1::MessageStatus::Delivered)).await;
        check(&t, "a report").await;
        t.ok(set_status(&in_chat.conversation_id, v1::ConversationStatus::Archived)).await;
        assert_eq!(t.stats("").await.active_conversation_count, 2);
        check(&t, "an archived conversation").await;
        t.ok(make::edit(&sent.conversation_id, &["user"], |c| c.user = "bob".to_owned())).await;
        assert_eq!(t.stats("bob").await.message_count, 4);
        check(&t, "another user").await;
        t.ok(make::delete_message(&received.id)).await;
        check(&t, "a deleted message").await;
        t.ok(v1::MarkAsReadRequest { id: sent.conversation_id.clone(), up_to_sequence: 0 }).await;
        assert_eq!(t.stats("").await.unread_count, 0);
        t.ok(make::delete_conversation(&in_chat.conversation_id)).await;
        assert_eq!(t.stats("ana").await, v1::Stats::default());
        check(&t, "a deleted conversation").await;
        assert_eq!(t.other().stats("").await, v1::Stats::default(), "another owner has no statistics");
    }

    async fn concurrent_writes_keep_statistics_exact(t: Caller) {
        let chats: Vec<_> = (0..4).map(|_| make::unique("talk")).collect();
        let workers: Vec<_> = (1..=6)
            .map(|seed| tokio::spawn(work(t.clone(), seed, chats.clone())))
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        // The test sends only chats, so no delivery changes the statistics afterwards.
        check(&t, "all of it").await;
    }

    async fn totals_count_all_pages(t: Caller) {
        let mut ids = Vec::new();
        for n in 0..12 {
            let user = USERS[n % 3];
            let id = if n % 2 == 0 {
                t.ok(of(user, chat(&make::unique("talk"), "hi"))).await.conversation_id
            } else {
                let message = v1::ReceiveMessageRequest { user: user.to_owned(), ..inbound_sms(&make::phones(), "hi") };
                t.ok(message).await.conversation_id
            };
            ids.push(id);
        }
        t.ok(set_status(&ids[0], v1::ConversationStatus::Archived)).await;
        t.ok(set_status(&ids[1], v1::ConversationStatus::Closed)).await;
        t.ok(set_status(&ids[4], v1::ConversationStatus::Closed)).await;
        t.ok(v1::MarkAsReadRequest { id: ids[3].clone(), up_to_sequence: 0 }).await;
        t.ok(make::delete_conversation(&ids[5])).await;
        let everything = t.all_conversations("").await;
        let statuses = [0, 1, 2, 3];
        for user in USERS {
            for (channel, status, unread_only) in [0, v1::Channel::Sms.into(), v1::Channel::Chat.into()]
                .into_iter()
                .flat_map(|channel| statuses.map(|status| (channel, status)))
                .flat_map(|(channel, status)| [(channel, status, false), (channel, status, true)])
            {
                let request = List { user: user.to_owned(), channel, status, unread_only, page_size: 1, with_total: true, ..List::default() };
                let expected = everything.iter().filter(|c| {
                    (user.is_empty() || c.user == user)
                        && (channel == 0 || c.channel == channel)
                        && (status == 0 || c.status == status)
                        && (!unread_only || c.unread_count > 0)
                });
                let page = t.ok(request.clone()).await;
                assert_eq!(page.total_size, i64::try_from(expected.count()).unwrap(), "{request:?}");
            }
        }
    }

    /// With and without deleted messages, after every sequence.
    async fn the_total_after_a_sequence(t: Caller) {
        let name = make::unique("talk");
        let mut sent = Vec::new();
        for n in 0..8 {
            sent.push(t.ok(chat(&name, &n.to_string())).await);
        }
        let id = sent[0].conversation_id.clone();
        for deleted in [None, Some(1), Some(6), Some(7)] {
            if let Some(deleted) = deleted {
                t.ok(make::delete_message(&sent[deleted].id)).await;
            }
            let all = t.all_messages(&id).await;
            for after_sequence in 0..10 {
                let request = v1::ListMessagesRequest { after_sequence, with_total: true, page_size: 1, ..list(&id) };
                let remaining = all.iter().filter(|m| m.sequence > after_sequence).count();
                let total = t.ok(request).await.total_size;
                assert_eq!(total, i64::try_from(remaining).unwrap(), "after {after_sequence}, without {deleted:?}");
            }
        }
    }
}
