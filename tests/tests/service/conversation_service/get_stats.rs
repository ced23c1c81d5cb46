//! `GetStats`, and the totals of lists.

use parlance_proto::v1::{self, ListConversationsRequest as List};
use parlance_tests::Caller;
use parlance_tests::make::{self, chat, from_them, list, mail, report, set_status, sms};

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

/// Small numbers, different for each seed.
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

/// What callers do all day, at random and in the way of others; whoever is refused has done nothing.
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
                let said = v1::SendMessageRequest {
                    tokens_used,
                    ..of(user, chat(&pick(&mut dice), "hi"))
                };
                messages.extend(t.ask(said).await.map(|m| (m.conversation_id, m.id)));
            }
            4 | 5 => {
                let pair = make::phones();
                let came = v1::ReceiveMessageRequest {
                    user: user.to_owned(),
                    ..from_them(&pair, "hi")
                };
                messages.extend(t.ask(came).await.map(|m| (m.conversation_id, m.id)));
            }
            _ if messages.is_empty() => {}
            step => {
                let (conversation, message) = messages[n * 7 % messages.len()].clone();
                let _ = match step {
                    6 => t
                        .ask(report(&message, v1::MessageStatus::Read))
                        .await
                        .map(|_| ()),
                    7 => t.ask(make::delete_message(&message)).await,
                    8 => t
                        .ask(make::edit(&conversation, &["user"], |c| {
                            user.clone_into(&mut c.user);
                        }))
                        .await
                        .map(|_| ()),
                    _ if dice.roll(3) == 0 => t.ask(make::delete_conversation(&conversation)).await,
                    _ => t
                        .ask(v1::MarkAsReadRequest {
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
    async fn each_change_counts(t: Caller) {
        assert_eq!(t.stats("").await, v1::Stats::default());
        let (one, letters) = (t.pair().await, t.mail_pair().await);
        let talk = v1::SendMessageRequest { tokens_used: Some(40), ..of("ana", chat("talk", "hi")) };
        let talk = t.ok(talk).await;
        let answer = v1::SendMessageRequest {
            tokens_used: Some(2), role: v1::Role::Assistant.into(), ..make::reply(&talk.conversation_id, "hello")
        };
        t.ok(answer).await;
        check(&t, "a chat").await;
        let sent = t.ok(of("ana", sms(&one, "hi"))).await;
        check(&t, "a text").await;
        t.ok(of("bob", mail(&letters, "hi"))).await;
        let came = t.ok(from_them(&one, "yes?")).await;
        t.ok(from_them(&one, "hello?")).await;
        check(&t, "answers").await;
        let stats = t.stats("").await;
        assert_eq!((stats.conversation_count, stats.message_count), (3, 6));
        assert_eq!((stats.unread_count, stats.tokens_used), (2, 42));
        t.ok(report(&sent.id, v1::MessageStatus::Delivered)).await;
        check(&t, "a report").await;
        t.ok(set_status(&talk.conversation_id, v1::ConversationStatus::Archived)).await;
        assert_eq!(t.stats("").await.active_conversation_count, 2);
        check(&t, "a conversation that is put away").await;
        t.ok(make::edit(&sent.conversation_id, &["user"], |c| c.user = "bob".to_owned())).await;
        assert_eq!(t.stats("bob").await.message_count, 4);
        check(&t, "another user").await;
        t.ok(make::delete_message(&came.id)).await;
        check(&t, "a message that is deleted").await;
        t.ok(v1::MarkAsReadRequest { id: sent.conversation_id.clone(), up_to_sequence: 0 }).await;
        assert_eq!(t.stats("").await.unread_count, 0);
        t.ok(make::delete_conversation(&talk.conversation_id)).await;
        assert_eq!(t.stats("ana").await, v1::Stats::default());
        check(&t, "a conversation that is deleted").await;
        assert_eq!(t.other().stats("").await, v1::Stats::default(), "another owner has none of it");
    }

    async fn many_at_once_lose_and_double_nothing(t: Caller) {
        let chats: Vec<_> = (0..4).map(|_| make::unique("talk")).collect();
        let workers: Vec<_> = (1..=6)
            .map(|seed| tokio::spawn(work(t.clone(), seed, chats.clone())))
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        // The simulator delivers what was sent; nothing here is, but what is under way elsewhere takes its time.
        check(&t, "all of it").await;
    }

    async fn totals_are_those_of_all_pages(t: Caller) {
        let mut ids = Vec::new();
        for n in 0..12 {
            let user = USERS[n % 3];
            let id = if n % 2 == 0 {
                t.ok(of(user, chat(&make::unique("talk"), "hi"))).await.conversation_id
            } else {
                let came = v1::ReceiveMessageRequest { user: user.to_owned(), ..from_them(&make::phones(), "hi") };
                t.ok(came).await.conversation_id
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

    /// With holes and without, from every place.
    async fn the_total_of_what_is_after_a_place(t: Caller) {
        let name = make::unique("talk");
        let mut sent = Vec::new();
        for n in 0..8 {
            sent.push(t.ok(chat(&name, &n.to_string())).await);
        }
        let id = sent[0].conversation_id.clone();
        for gone in [None, Some(1), Some(6), Some(7)] {
            if let Some(gone) = gone {
                t.ok(make::delete_message(&sent[gone].id)).await;
            }
            let all = t.all_messages(&id).await;
            for after_sequence in 0..10 {
                let request = v1::ListMessagesRequest { after_sequence, with_total: true, page_size: 1, ..list(&id) };
                let left = all.iter().filter(|m| m.sequence > after_sequence).count();
                let total = t.ok(request).await.total_size;
                assert_eq!(total, i64::try_from(left).unwrap(), "after {after_sequence}, without {gone:?}");
            }
        }
    }
}
