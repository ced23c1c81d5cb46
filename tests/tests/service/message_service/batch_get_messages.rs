//! `BatchGetMessages`.

use parlance_proto::v1::{self, BatchGetMessagesRequest as Batch};
use parlance_tests::Caller;
use parlance_tests::make::{self, chat};
use tonic::Code;

on_both! {
    async fn messages_are_returned_in_the_order_of_the_request(t: Caller) {
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(t.ok(chat("", &n.to_string())).await.id);
        }
        let foreign = t.other().ok(chat("", "hi")).await.id;
        let unknown = "0190f5fe-7c00-7a00-b000-000000000000".to_owned();
        t.ok(make::delete_message(&ids[1])).await;
        let requested = [&ids[4], &foreign, &ids[0], &ids[1], &ids[4], &unknown, &ids[2]].map(String::clone).to_vec();
        let batch = t.ok(Batch { ids: requested }).await;
        let bodies: Vec<_> = batch.messages.iter().map(|m| m.body.as_str()).collect();
        assert_eq!(bodies, ["4", "0", "4", "2"]);
        assert_eq!(batch.missing_ids, [foreign, ids[1].clone(), unknown]);
    }

    async fn a_hundred_messages_at_once(t: Caller) {
        let id = t.ok(chat("", "hi")).await.id;
        let batch = t.ok(Batch { ids: vec![id.clone(); 100] }).await;
        assert_eq!((batch.messages.len(), batch.missing_ids.len()), (100, 0));
        assert!(batch.messages.iter().all(|m| m.id == id));
    }

    /// The reply cannot be split into pages, so the request is refused.
    async fn a_reply_that_is_too_large_is_refused(t: Caller) {
        let body = "x".repeat(256 * 1024);
        let mut ids = Vec::new();
        for _ in 0..17 {
            ids.push(t.ok(v1::SendMessageRequest { channel: v1::Channel::Chat.into(), body: body.clone(), ..Default::default() }).await.id);
        }
        let refusal = t.refused(Batch { ids: ids.clone() }).await;
        assert_eq!(refusal.code_and_reason(), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));
        assert_eq!((refusal.retry_after, refusal.pushback), (None, None));
        ids.truncate(15);
        assert_eq!(t.ok(Batch { ids }).await.messages.len(), 15);
    }
}
