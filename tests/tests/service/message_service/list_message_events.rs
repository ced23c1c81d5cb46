//! `ListMessageEvents`.

use parlance_proto::v1::{
    self, MessageEvent, MessageStatus, SendMessageRequest as Send,
    UpdateMessageStatusRequest as Report,
};
use parlance_testkit::eventually;
use parlance_tests::make::{self, Pair, at, cancel, chat, list_message_events, report, sms};
use parlance_tests::{Caller, SOON};

async fn until(t: &Caller, id: &str, status: MessageStatus) -> v1::Message {
    eventually(SOON, async || {
        let message = t.message(id).await;
        (message.status() == status).then_some(message)
    })
    .await
}

/// Sends a message to this recipient, waits for its final status, and returns its events.
async fn events_of_send(t: &Caller, theirs: &str, end: MessageStatus) -> Vec<MessageEvent> {
    let pair = Pair {
        ours: make::phone(),
        theirs: theirs.to_owned(),
    };
    let id = t.ok(sms(&pair, "hi")).await.id;
    until(t, &id, end).await;
    let whole = || async {
        let events = t.ok(list_message_events(&id)).await.events;
        // The outcome of the attempt may be written after the report that changed the status.
        let reported =
            end != MessageStatus::Delivered || events.iter().any(|event| event.kind == "report");
        reported.then_some(events)
    };
    eventually(SOON, async || whole().await).await
}

fn kinds(events: &[MessageEvent]) -> Vec<(&str, i32)> {
    events
        .iter()
        .map(|event| (event.kind.as_str(), event.attempt))
        .collect()
}

on_both! {
    async fn events_of_a_delivered_message(t: Caller) {
        let events = events_of_send(&t, &make::phone(), MessageStatus::Delivered).await;
        assert_eq!(kinds(&events), [("attempt", 1), ("report", 0)]);
        let (attempt, report) = (&events[0], &events[1]);
        assert!(events.iter().all(|event| event.provider == "simulator" && event.time.is_some()));
        assert!(attempt.time.unwrap().seconds <= report.time.unwrap().seconds, "oldest first");
        assert_eq!(attempt.provider_time, None);
        assert!(matches!(attempt.status(), MessageStatus::Sent | MessageStatus::Delivered) && !attempt.detail.is_empty());
        assert_eq!((report.status(), report.detail.as_str()), (MessageStatus::Delivered, ""));
        assert!(report.provider_time.is_some());
    }

    async fn events_of_a_refused_message(t: Caller) {
        for (theirs, reason) in [("+15005550102", "opted out"), ("+15005550105", "does not exist")] {
            let events = events_of_send(&t, theirs, MessageStatus::Failed).await;
            assert_eq!(kinds(&events), [("attempt", 1)]);
            assert_eq!(events[0].status(), MessageStatus::Failed);
            assert!(events[0].detail.contains(reason), "{events:?}");
        }
    }

    async fn events_of_a_deferred_message(t: Caller) {
        let events = events_of_send(&t, "+15005550104", MessageStatus::Delivered).await;
        assert_eq!(kinds(&events), [("attempt", 1), ("attempt", 2), ("report", 0)]);
        assert_eq!(events[0].status(), MessageStatus::Sending);
        assert!(events[0].detail.contains("put off"), "{events:?}");
    }

    /// The report resolves the uncertain attempt, so there is no second one.
    async fn events_of_a_delivered_message_without_a_response(t: Caller) {
        let events = events_of_send(&t, "+15005550103", MessageStatus::Delivered).await;
        assert_eq!(kinds(&events), [("attempt", 1), ("report", 0)]);
        assert!(matches!(events[0].status(), MessageStatus::Uncertain | MessageStatus::Delivered), "{events:?}");
    }

    async fn events_of_an_undelivered_message(t: Caller) {
        let events = events_of_send(&t, "+15005550101", MessageStatus::Undelivered).await;
        assert_eq!(kinds(&events), [("attempt", 1), ("report", 0)]);
        assert_eq!(events[1].status(), MessageStatus::Undelivered);
        assert!(events[1].detail.contains("cannot be reached"), "{events:?}");
    }

    /// Including reports that change nothing, in the order in which they were received.
    async fn every_report_is_an_event(t: Caller) {
        let id = t.ok(sms(&t.pair().await, "hi")).await.id;
        let error = v1::MessageError { code: "c".to_owned(), message: "in words".to_owned(), provider_code: "7".to_owned() };
        t.ok(Report { occurred_at: Some(at(30)), ..report(&id, MessageStatus::Delivered) }).await;
        t.ok(Report { occurred_at: Some(at(10)), error: Some(error), ..report(&id, MessageStatus::Failed) }).await;
        t.ok(report(&id, MessageStatus::Delivered)).await;
        let events = t.ok(list_message_events(&id)).await.events;
        let listed: Vec<_> = events.iter().map(|e| (e.kind.as_str(), e.attempt, e.status(), e.provider_time, e.detail.as_str())).collect();
        assert_eq!(listed, [
            ("report", 0, MessageStatus::Delivered, Some(at(30)), ""),
            ("report", 0, MessageStatus::Failed, Some(at(10)), "in words"),
            ("report", 0, MessageStatus::Delivered, None, ""),
        ]);
    }

    async fn events_of_a_canceled_message(t: Caller) {
        let id = t.ok(sms(&t.pair().await, "hi")).await.id;
        assert_eq!(t.ok(list_message_events(&id)).await.events, [], "no event yet");
        let canceled = t.ok(cancel(&id)).await;
        let expected = MessageEvent {
            time: canceled.updated_at,
            kind: "canceled".to_owned(),
            status: MessageStatus::Canceled.into(),
            ..Default::default()
        };
        assert_eq!(t.ok(list_message_events(&id)).await.events, [expected]);
    }

    /// Due for one microsecond, which is too short for any attempt.
    async fn events_of_an_expired_message(t: Caller) {
        let now = t.ok(chat("", "what is the time?")).await.created_at.unwrap();
        let due = at(now.seconds + 12);
        let over = prost_types::Timestamp { nanos: 1_000, ..due };
        let id = t.ok(Send { send_at: Some(due), expires_at: Some(over), ..sms(&make::phones(), "hi") }).await.id;
        until(&t, &id, MessageStatus::Expired).await;
        let events = t.ok(list_message_events(&id)).await.events;
        assert_eq!(kinds(&events), [("expired", 1)]);
        assert_eq!((events[0].status(), events[0].provider.as_str()), (MessageStatus::Expired, "simulator"));
    }

    async fn chats_and_inbound_messages_have_no_events(t: Caller) {
        let pair = t.pair().await;
        for message in [t.ok(chat("", "hi")).await, t.ok(make::inbound_sms(&pair, "hi")).await] {
            assert_eq!(t.ok(list_message_events(&message.id)).await.events, []);
        }
    }

    /// To the first thousand events.
    async fn the_list_is_limited(t: Caller) {
        let id = t.ok(sms(&t.pair().await, "hi")).await.id;
        t.ok(report(&id, MessageStatus::Delivered)).await;
        for _ in 0..20 {
            let reports = (0..51).map(|_| t.ok_retrying(report(&id, MessageStatus::Sent)));
            futures_util::future::join_all(reports).await;
        }
        let events = t.ok(list_message_events(&id)).await.events;
        assert_eq!(events.len(), 1_000);
        assert_eq!(events[0].status(), MessageStatus::Delivered);
    }
}
