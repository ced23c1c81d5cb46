//! `ListWebhooks` and `ReplayWebhook`.

use parlance_proto::v1::{self, FaultKind, MessageStatus, WebhookState};
use parlance_testkit::eventually;
use parlance_tests::make::{phones, sms};
use parlance_tests::{Caller, SOON};
use tonic::Code;

use super::set_script::{hour, once};

async fn webhooks(t: &Caller) -> Vec<v1::Webhook> {
    t.ok(v1::ListWebhooksRequest::default()).await.webhooks
}

on_both! {
    async fn a_dropped_report_is_listed_and_can_be_replayed(t: Caller) {
        t.ok(once(FaultKind::Drop)).await;
        let id = t.ok(sms(&phones(), "hi")).await.id;
        let dropped = eventually(SOON, async || {
            t.ok(hour()).await;
            webhooks(&t).await.pop()
        })
        .await;
        assert_eq!((dropped.state(), dropped.attempts), (WebhookState::Dropped, 0));
        assert_eq!(dropped.url, "");
        let parameter = |name: &str| {
            let found = dropped.parameters.iter().find(|it| it.name == name);
            found.map(|it| it.value.clone())
        };
        assert_eq!(parameter("MessageStatus").as_deref(), Some("delivered"));
        assert_ne!(t.message(&id).await.status(), MessageStatus::Delivered);
        assert_eq!(webhooks(&t.other()).await, []);

        let replay = v1::ReplayWebhookRequest { id: dropped.id.clone() };
        let foreign = t.other().refused(replay.clone()).await;
        assert_eq!(foreign.code_and_reason(), (Code::NotFound, "WEBHOOK_NOT_FOUND"));
        assert_eq!(t.ok(replay).await.id, dropped.id);
        eventually(SOON, async || {
            (t.message(&id).await.status() == MessageStatus::Delivered).then_some(())
        })
        .await;
        eventually(SOON, async || {
            let listed = webhooks(&t).await;
            (listed[0].state() == WebhookState::Delivered).then_some(())
        })
        .await;
    }

    async fn webhooks_are_listed_newest_first_and_by_message(t: Caller) {
        let pair = phones();
        for body in ["1", "2"] {
            t.ok(sms(&pair, body)).await;
        }
        let all = eventually(SOON, async || {
            t.ok(hour()).await;
            let all = webhooks(&t).await;
            (all.len() == 2).then_some(all)
        })
        .await;
        let of_first = v1::ListWebhooksRequest {
            provider_message_id: all[1].provider_message_id.clone(),
            page_size: 1,
        };
        let listed = t.ok(of_first).await.webhooks;
        assert_eq!(listed.iter().map(|it| &it.id).collect::<Vec<_>>(), [&all[1].id]);
    }
}
