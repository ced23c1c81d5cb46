//! `UpdateMessageStatus`: the result does not depend on the order and number of reports.

use parlance_proto::v1::{
    self, MessageStatus, SendMessageRequest as Send, UpdateMessageStatusRequest as Report,
};
use parlance_tests::Caller;
use parlance_tests::make::{self, at, chat, far_future, report, sms};
use tonic::Code;

const ORDER: [MessageStatus; 5] = [
    MessageStatus::Sent,
    MessageStatus::Failed,
    MessageStatus::Undelivered,
    MessageStatus::Delivered,
    MessageStatus::Read,
];

fn error(code: &str) -> v1::MessageError {
    v1::MessageError {
        code: code.to_owned(),
        message: format!("{code} in words"),
        provider_code: "30007".to_owned(),
    }
}

/// All permutations of the items.
fn permutations<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, first) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(index);
        for mut tail in permutations(&rest) {
            tail.insert(0, first.clone());
            all.push(tail);
        }
    }
    all
}

on_both! {
    async fn a_report_changes_the_status(t: Caller) {
        let pair = t.pair().await;
        let message = t.ok(sms(&pair, "hi")).await;
        let sent = t.ok(Report { occurred_at: Some(at(1_000)), ..report(&message.id, MessageStatus::Sent) }).await;
        let expected = v1::Message {
            status: MessageStatus::Sent.into(),
            sent_at: Some(at(1_000)),
            version: 2,
            updated_at: sent.updated_at,
            ..message.clone()
        };
        assert_eq!(sent, expected);
        assert_eq!(t.message(&message.id).await, sent);
        let read = t.ok(report(&message.id, MessageStatus::Read)).await;
        assert!(read.read_at.is_some() && read.delivered_at.is_none(), "steps may be skipped");
        assert_eq!((read.version, read.etag), (3, message.etag));
    }

    async fn only_reports_of_a_higher_status_change_it(t: Caller) {
        let pair = t.pair().await;
        for (high, &higher) in ORDER.iter().enumerate() {
            for &lower in &ORDER[..=high] {
                let id = t.ok(sms(&pair, "hi")).await.id;
                let first = t.ok(Report { occurred_at: Some(at(1_000)), ..report(&id, higher) }).await;
                let after = t.ok(Report { occurred_at: Some(at(1_000)), ..report(&id, lower) }).await;
                assert_eq!(after.status(), higher, "{lower:?} after {higher:?}");
                if lower == higher {
                    assert_eq!(after, first, "a repeated report changes nothing");
                }
                let other_way = t.ok(sms(&pair, "hi")).await.id;
                t.ok(report(&other_way, lower)).await;
                assert_eq!(t.ok(report(&other_way, higher)).await.status(), higher, "{higher:?} after {lower:?}");
            }
        }
    }

    async fn the_order_of_reports_does_not_matter(t: Caller) {
        let pair = t.pair().await;
        let reports = [
            Report { status: MessageStatus::Sent.into(), occurred_at: Some(at(20)), ..Default::default() },
            Report { status: MessageStatus::Sent.into(), occurred_at: Some(at(10)), ..Default::default() },
            Report { status: MessageStatus::Failed.into(), occurred_at: Some(at(5)), error: Some(error("FAILED")), ..Default::default() },
            Report { status: MessageStatus::Undelivered.into(), occurred_at: Some(at(40)), error: Some(error("LATER")), ..Default::default() },
            Report { status: MessageStatus::Undelivered.into(), occurred_at: Some(at(30)), error: Some(error("EARLIER")), ..Default::default() },
        ];
        let mut results = Vec::new();
        for order in permutations(&reports) {
            let id = t.ok(sms(&pair, "hi")).await.id;
            let mut last = t.message(&id).await;
            for report in order.iter().chain(&order[..2]) {
                last = t.ok(Report { id: id.clone(), ..report.clone() }).await;
            }
            results.push((last.status(), last.error, last.sent_at, last.delivered_at, last.read_at));
        }
        let expected = (MessageStatus::Undelivered, Some(error("EARLIER")), Some(at(10)), None, None);
        assert_eq!(results.len(), 120);
        assert!(results.iter().all(|result| *result == expected), "{results:?}");
    }

    /// The error is that of the highest report with an error, whatever the status of the message.
    async fn a_delivered_message_keeps_an_earlier_error(t: Caller) {
        let id = t.ok(sms(&t.pair().await, "hi")).await.id;
        t.ok(Report { error: Some(error("FIRST")), ..report(&id, MessageStatus::Failed) }).await;
        let arrived = t.ok(report(&id, MessageStatus::Delivered)).await;
        assert_eq!((arrived.status(), arrived.error), (MessageStatus::Delivered, Some(error("FIRST"))));
    }

    async fn the_earliest_time_of_each_status_is_kept(t: Caller) {
        let id = t.ok(sms(&t.pair().await, "hi")).await.id;
        for seconds in [50, 30, 40] {
            t.ok(Report { occurred_at: Some(at(seconds)), ..report(&id, MessageStatus::Delivered) }).await;
        }
        let message = t.message(&id).await;
        assert_eq!((message.delivered_at, message.version), (Some(at(30)), 3), "the third report changed nothing");
    }

    async fn a_report_may_use_the_provider_message_id(t: Caller) {
        let received = t.ok(make::inbound_sms(&t.pair().await, "hi")).await;
        let by_provider = Report {
            provider: received.provider,
            provider_message_id: received.provider_message_id,
            status: MessageStatus::Read.into(),
            ..Default::default()
        };
        let refusal = t.refused(by_provider).await;
        assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "ILLEGAL_STATUS"), "the message was found");
    }

    async fn scheduled_and_inbound_messages_take_no_report(t: Caller) {
        let pair = t.pair().await;
        let scheduled = t.ok(Send { send_at: Some(far_future(0)), ..sms(&pair, "hi") }).await;
        let received = t.ok(make::inbound_sms(&pair, "hi")).await;
        for message in [scheduled, received] {
            for status in ORDER {
                let refusal = t.refused(report(&message.id, status)).await;
                assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "ILLEGAL_STATUS"));
                assert_eq!(refusal.metadata("message_id"), message.id);
            }
            assert_eq!(t.message(&message.id).await, message);
        }
    }

    /// Read receipts are accepted on every channel.
    async fn a_chat_message_may_be_read(t: Caller) {
        let message = t.ok(chat("", "hi")).await;
        let lower = t.ok(Report { occurred_at: message.delivered_at, ..report(&message.id, MessageStatus::Delivered) }).await;
        assert_eq!(lower, message);
        let read = t.ok(report(&message.id, MessageStatus::Read)).await;
        assert_eq!(read.status(), MessageStatus::Read);
        let conversation = t.conversation(&message.conversation_id).await;
        assert_eq!(conversation.version, 1, "a receipt does not change the conversation");
    }

    async fn concurrent_reports_are_all_applied(t: Caller) {
        let id = t.ok(sms(&t.pair().await, "hi")).await.id;
        let reports = ORDER.iter().cycle().take(20).enumerate().map(|(n, &status)| {
            let occurred_at = Some(at(100 - i64::try_from(n).unwrap()));
            let request = Report { occurred_at, ..report(&id, status) };
            let t = t.clone();
            async move { t.ok_retrying(request).await }
        });
        futures_util::future::join_all(reports).await;
        let message = t.message(&id).await;
        assert_eq!(message.status(), MessageStatus::Read);
        assert_eq!((message.sent_at, message.delivered_at, message.read_at), (Some(at(85)), Some(at(82)), Some(at(81))));
    }
}
