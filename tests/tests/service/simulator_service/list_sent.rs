//! `ListSent`.

use futures_util::{StreamExt as _, stream};
use parlance_proto::v1::{
    self, ListSentRequest as List, MessageStatus, SendMessageRequest as Send, SentMessage,
};
use parlance_testkit::eventually;
use parlance_tests::make::{self, Pair, file, list_sent, mail, mail_addresses, phones, sms};
use parlance_tests::{Caller, SOON};

/// Sends a message, and waits for its final status.
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
    async fn a_sent_message_is_listed_with_its_fields(t: Caller) {
        let pair = mail_addresses();
        let message = delivered(&t, Send {
            subject: "Hello".to_owned(),
            attachments: vec![file("a.txt", "text/plain", "a"), file("b.txt", "text/plain", "b")],
            ..mail(&pair, "hi")
        }).await;
        let seen = t.ok(list_sent(&pair.theirs)).await.messages;
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
        let uppercase = pair.theirs.replace("example", "EXAMPLE");
        assert_eq!(t.ok(list_sent(&uppercase)).await.messages, seen, "addresses are canonical");
    }

    async fn the_list_is_newest_first(t: Caller) {
        let pair = phones();
        let other = Pair { theirs: make::phone(), ..pair.clone() };
        for n in 0..3 {
            delivered(&t, sms(&pair, &n.to_string())).await;
        }
        delivered(&t, sms(&other, "other")).await;
        let list = |page_size| List { page_size, ..Default::default() };
        assert_eq!(bodies(&t.ok(list(0)).await.messages), ["other", "2", "1", "0"]);
        assert_eq!(bodies(&t.ok(list(2)).await.messages), ["other", "2"]);
        assert_eq!(bodies(&t.ok(list_sent(&pair.theirs)).await.messages), ["2", "1", "0"]);
        assert_eq!(bodies(&t.ok(List { page_size: 1, ..list_sent(&pair.theirs) }).await.messages), ["2"]);
        assert_eq!(t.ok(list_sent(&make::phone())).await.messages, []);
    }

    async fn the_page_size_is_limited(t: Caller) {
        let pair = phones();
        let send = |n: u32| t.ok_retrying(sms(&Pair { theirs: make::phone(), ..pair.clone() }, &n.to_string()));
        // A limited number at once, so that no send waits for a database connection for long.
        stream::iter(0..201).map(send).buffer_unordered(16).count().await;
        let list = async |page_size| t.ok(List { page_size, ..Default::default() }).await.messages.len();
        eventually(SOON, async || (list(i32::MAX).await == 200).then_some(())).await;
        assert_eq!((list(0).await, list(200).await, list(201).await), (50, 200, 200));
    }

    async fn another_owner_sees_nothing(t: Caller) {
        let pair = phones();
        delivered(&t, sms(&pair, "hi")).await;
        assert_eq!(t.other().ok(List::default()).await.messages, []);
        assert_eq!(t.other().ok(list_sent(&pair.theirs)).await.messages, []);
    }

    async fn unsent_messages_are_not_listed(t: Caller) {
        let paused = t.pair().await;
        let canceled = t.ok(sms(&paused, "canceled")).await.id;
        t.ok(make::cancel(&canceled)).await;
        t.ok(sms(&paused, "waits")).await;
        t.ok(Send { send_at: Some(make::far_future(0)), ..sms(&phones(), "scheduled") }).await;
        t.ok(make::chat("", "a chat")).await;
        for theirs in ["+15005550102", "+15005550105"] {
            let refused = Pair { ours: make::phone(), theirs: theirs.to_owned() };
            sent(&t, sms(&refused, "refused"), MessageStatus::Failed).await;
        }
        assert_eq!(t.ok(List::default()).await.messages, []);
    }

    /// Deferred, undelivered, or without a response: the simulated network has accepted the message once.
    async fn each_sent_message_is_accepted_once(t: Caller) {
        let ours = make::phone();
        for (theirs, end) in [
            ("+15005550101", MessageStatus::Undelivered),
            ("+15005550103", MessageStatus::Delivered),
            ("+15005550104", MessageStatus::Delivered),
        ] {
            let pair = Pair { ours: ours.clone(), theirs: theirs.to_owned() };
            let id = t.ok(sms(&pair, "hi")).await.id;
            eventually(SOON, async || (t.message(&id).await.status() == end).then_some(())).await;
            let seen = t.ok(list_sent(theirs)).await.messages;
            let times: Vec<_> = seen.iter().map(|seen| (seen.message_id.as_str(), seen.times_accepted)).collect();
            assert_eq!(times, [(id.as_str(), 1)], "{theirs}");
        }
    }
}
