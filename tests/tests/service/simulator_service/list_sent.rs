//! `ListSent`.

use futures_util::{StreamExt as _, stream};
use parlance_proto::v1::{
    self, ListSentRequest as List, MessageStatus, SendMessageRequest as Send, SentMessage,
};
use parlance_testkit::eventually;
use parlance_tests::make::{self, Pair, file, mail, mail_addresses, phones, seen_at, sms};
use parlance_tests::{Caller, SOON};

/// Sends it, and waits until it is what becomes of it.
async fn sent(t: &Caller, request: Send, end: MessageStatus) -> v1::Message {
    let id = t.ok(request).await.id;
    eventually(SOON, async || {
        let message = t.message(&id).await;
        (message.status() == end && (end != MessageStatus::Delivered || message.sent_at.is_some()))
            .then_some(message)
    })
    .await
}

async fn delivered(t: &Caller, request: Send) -> v1::Message {
    sent(t, request, MessageStatus::Delivered).await
}

fn bodies(seen: &[SentMessage]) -> Vec<&str> {
    seen.iter().map(|seen| seen.body.as_str()).collect()
}

on_both! {
    async fn a_message_is_there_as_it_was_sent(t: Caller) {
        let pair = mail_addresses();
        let message = delivered(&t, Send {
            subject: "Hello".to_owned(),
            attachments: vec![file("a.txt", "text/plain", "a"), file("b.txt", "text/plain", "b")],
            ..mail(&pair, "hi")
        }).await;
        let seen = t.ok(seen_at(&pair.theirs)).await.messages;
        let expected = SentMessage {
            message_id: message.id,
            provider_message_id: message.provider_message_id,
            from_address: pair.ours,
            to_address: pair.theirs.clone(),
            subject: "Hello".to_owned(),
            body: "hi".to_owned(),
            attachments: 2,
            accepted_at: seen[0].accepted_at,
            times_accepted: 1,
        };
        assert_eq!(seen, [expected]);
        assert!(seen[0].accepted_at.is_some());
        let shouted = pair.theirs.replace("example", "EXAMPLE");
        assert_eq!(t.ok(seen_at(&shouted)).await.messages, seen, "addresses are canonical");
    }

    async fn the_newest_comes_first(t: Caller) {
        let pair = phones();
        let other = Pair { theirs: make::phone(), ..pair.clone() };
        for n in 0..3 {
            delivered(&t, sms(&pair, &n.to_string())).await;
        }
        delivered(&t, sms(&other, "other")).await;
        let list = |page_size| List { page_size, ..Default::default() };
        assert_eq!(bodies(&t.ok(list(0)).await.messages), ["other", "2", "1", "0"]);
        assert_eq!(bodies(&t.ok(list(2)).await.messages), ["other", "2"]);
        assert_eq!(bodies(&t.ok(seen_at(&pair.theirs)).await.messages), ["2", "1", "0"]);
        assert_eq!(bodies(&t.ok(List { page_size: 1, ..seen_at(&pair.theirs) }).await.messages), ["2"]);
        assert_eq!(t.ok(seen_at(&make::phone())).await.messages, []);
    }

    async fn a_list_is_cut(t: Caller) {
        let pair = phones();
        let send = |n: u32| t.ok_in_a_crowd(sms(&Pair { theirs: make::phone(), ..pair.clone() }, &n.to_string()));
        // So many at a time that none waits for long to be written.
        stream::iter(0..201).map(send).buffer_unordered(16).count().await;
        let list = async |page_size| t.ok(List { page_size, ..Default::default() }).await.messages.len();
        eventually(SOON, async || (list(i32::MAX).await == 200).then_some(())).await;
        assert_eq!((list(0).await, list(200).await, list(201).await), (50, 200, 200));
    }

    async fn it_is_the_owners_own(t: Caller) {
        let pair = phones();
        delivered(&t, sms(&pair, "hi")).await;
        assert_eq!(t.other().ok(List::default()).await.messages, []);
        assert_eq!(t.other().ok(seen_at(&pair.theirs)).await.messages, []);
    }

    async fn what_did_not_leave_is_not_there(t: Caller) {
        let paused = t.pair().await;
        let canceled = t.ok(sms(&paused, "canceled")).await.id;
        t.ok(make::cancel(&canceled)).await;
        t.ok(sms(&paused, "waits")).await;
        t.ok(Send { send_at: Some(make::far(0)), ..sms(&phones(), "scheduled") }).await;
        t.ok(make::chat("", "a chat")).await;
        for theirs in ["+15005550002", "+15005550005"] {
            let refused = Pair { ours: make::phone(), theirs: theirs.to_owned() };
            sent(&t, sms(&refused, "refused"), MessageStatus::Failed).await;
        }
        assert_eq!(t.ok(List::default()).await.messages, []);
    }

    /// Put off, undelivered, or the answer lost: it was there once.
    async fn what_left_is_there_once(t: Caller) {
        let ours = make::phone();
        for (theirs, end) in [
            ("+15005550001", MessageStatus::Undelivered),
            ("+15005550003", MessageStatus::Delivered),
            ("+15005550004", MessageStatus::Delivered),
        ] {
            let pair = Pair { ours: ours.clone(), theirs: theirs.to_owned() };
            let id = t.ok(sms(&pair, "hi")).await.id;
            eventually(SOON, async || (t.message(&id).await.status() == end).then_some(())).await;
            let seen = t.ok(seen_at(theirs)).await.messages;
            let times: Vec<_> = seen.iter().map(|seen| (seen.message_id.as_str(), seen.times_accepted)).collect();
            assert_eq!(times, [(id.as_str(), 1)], "{theirs}");
        }
    }
}
