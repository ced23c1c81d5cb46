//! `SetScript` and `AdvanceClock`.

use parlance_proto::v1::{self, FaultKind, MessageStatus};
use parlance_testkit::eventually;
use parlance_tests::make::{list_sent, phones, sms};
use parlance_tests::{Caller, SOON};

/// Far more than a message takes to be delivered.
pub(super) fn hour() -> v1::AdvanceClockRequest {
    v1::AdvanceClockRequest {
        by: Some(prost_types::Duration {
            seconds: 3_600,
            nanos: 0,
        }),
    }
}

/// A script with one fault that happens once.
pub(super) fn once(kind: FaultKind) -> v1::SetScriptRequest {
    v1::SetScriptRequest {
        seed: 1,
        faults: vec![v1::Fault {
            kind: kind.into(),
            count: 1,
            ..Default::default()
        }],
    }
}

async fn status(t: &Caller, id: &str, expected: MessageStatus) {
    eventually(SOON, async || {
        (t.message(id).await.status() == expected).then_some(())
    })
    .await;
}

on_both! {
    async fn a_fault_happens_to_its_owner_only(t: Caller) {
        t.ok(once(FaultKind::OptedOut)).await;
        let other = t.other().ok(sms(&phones(), "hi")).await.id;
        status(&t.other(), &other, MessageStatus::Delivered).await;
        let refused = t.ok(sms(&phones(), "hi")).await.id;
        status(&t, &refused, MessageStatus::Failed).await;
        assert_eq!(t.message(&refused).await.error.unwrap().provider_code, "21610");
        let sent = t.ok(sms(&phones(), "hi")).await.id;
        status(&t, &sent, MessageStatus::Delivered).await;
    }

    async fn a_message_that_is_refused_for_now_is_sent_later(t: Caller) {
        t.ok(once(FaultKind::TooManyRequests)).await;
        let pair = phones();
        let id = t.ok(sms(&pair, "hi")).await.id;
        status(&t, &id, MessageStatus::Delivered).await;
        assert_eq!(t.ok(list_sent(&pair.theirs)).await.messages.len(), 1);
    }

    async fn an_advanced_clock_delivers_at_once_and_dates_the_report(t: Caller) {
        let delay = v1::SetScriptRequest {
            seed: 1,
            faults: vec![v1::Fault {
                kind: FaultKind::Delay.into(),
                delay: hour().by,
                ..Default::default()
            }],
        };
        t.ok(delay).await;
        let pair = phones();
        let id = t.ok(sms(&pair, "hi")).await.id;
        eventually(SOON, async || {
            (t.ok(list_sent(&pair.theirs)).await.messages.len() == 1).then_some(())
        })
        .await;
        let before = t.message(&id).await;
        assert_ne!(before.status(), MessageStatus::Delivered);
        let time = t.ok(hour()).await.time.unwrap();
        assert!(time.seconds > before.created_at.unwrap().seconds + 3_500);
        t.ok(hour()).await;
        status(&t, &id, MessageStatus::Delivered).await;
    }
}
