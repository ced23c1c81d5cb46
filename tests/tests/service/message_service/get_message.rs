//! `GetMessage`.

use parlance_proto::v1;
use parlance_tests::Caller;
use parlance_tests::make::{self, inbound_sms};

on_both! {
    async fn a_message_is_found_by_either_id(t: Caller) {
        let message = t.ok(inbound_sms(&t.pair().await, "hi")).await;
        assert_eq!(t.message(&message.id).await, message);
        assert_eq!(t.message(&message.id.to_uppercase()).await, message, "ids are compared as UUIDs");
        let by_provider = v1::GetMessageRequest {
            provider: message.provider.clone(),
            provider_message_id: message.provider_message_id.clone(),
            ..Default::default()
        };
        assert_eq!(t.ok(by_provider).await, message);
    }

    async fn a_write_is_read_at_once(t: Caller) {
        let mut message = t.ok(make::chat("", "0")).await;
        for n in 1..20 {
            message = t.ok(make::edit_message(&message.id, &[], |m| m.body = n.to_string())).await;
            assert_eq!(t.message(&message.id).await, message);
        }
        assert_eq!((message.body.as_str(), message.version), ("19", 20));
    }
}
