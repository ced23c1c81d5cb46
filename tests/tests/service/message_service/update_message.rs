//! `UpdateMessage`.

use parlance_proto::v1::{self, MessageStatus, SendMessageRequest as Send};
use parlance_tests::Caller;
use parlance_tests::make::{self, chat, edit_message, far_future, json, sms};
use tonic::Code;

async fn scheduled(t: &Caller) -> v1::Message {
    t.ok(Send {
        send_at: Some(far_future(10)),
        expires_at: Some(far_future(20)),
        metadata: Some(json("a", "b")),
        ..sms(&t.pair().await, "hi")
    })
    .await
}

on_both! {
    async fn only_fields_in_the_mask_change(t: Caller) {
        let message = scheduled(&t).await;
        let changed = t.ok(edit_message(&message.id, &["body", "send_at"], |m| {
            m.body = "x".repeat(161);
            m.send_at = Some(far_future(11));
            m.metadata = Some(json("not", "named"));
            m.expires_at = Some(far_future(99));
        })).await;
        let expected = v1::Message {
            body: "x".repeat(161),
            segments: 2,
            send_at: Some(far_future(11)),
            version: 2,
            etag: changed.etag.clone(),
            updated_at: changed.updated_at,
            ..message.clone()
        };
        assert_eq!(changed, expected);
        assert_ne!(changed.etag, message.etag);
        assert_eq!(t.message(&message.id).await, changed);
    }

    async fn fields_in_the_mask_without_a_value_are_cleared(t: Caller) {
        let message = scheduled(&t).await;
        let changed = t.ok(edit_message(&message.id, &["metadata", "expires_at"], |_| ())).await;
        assert_eq!((changed.metadata, changed.expires_at), (None, None));
        let now = t.ok(edit_message(&message.id, &["send_at"], |_| ())).await;
        assert_eq!((now.send_at, now.status()), (None, MessageStatus::Pending), "without a send time it is sent at once");
    }

    async fn without_a_mask_fields_that_are_set_change(t: Caller) {
        let message = scheduled(&t).await;
        let changed = t.ok(edit_message(&message.id, &[], |m| m.expires_at = Some(far_future(30)))).await;
        assert_eq!((changed.expires_at, changed.send_at, changed.body.as_str()), (Some(far_future(30)), Some(far_future(10)), "hi"));
        assert_eq!(changed.metadata, Some(json("a", "b")));
    }

    async fn metadata_is_replaced_as_a_whole_in_any_status(t: Caller) {
        let pair = t.pair().await;
        let received = t.ok(make::inbound_sms(&pair, "hi")).await;
        let sent = t.ok(sms(&pair, "hi")).await;
        t.ok(make::report(&sent.id, MessageStatus::Read)).await;
        for id in [&received.id, &sent.id] {
            t.ok(edit_message(id, &[], |m| m.metadata = Some(json("a", "b")))).await;
            let changed = t.ok(edit_message(id, &["metadata"], |m| m.metadata = Some(json("c", "d")))).await;
            assert_eq!(changed.metadata, Some(json("c", "d")));
        }
    }

    async fn sent_messages_keep_their_text(t: Caller) {
        let pair = t.pair().await;
        let pending = t.ok(sms(&pair, "hi")).await.id;
        let received = t.ok(make::inbound_sms(&pair, "hi")).await.id;
        let chat_id = t.ok(chat("", "hi")).await.id;
        for (id, fields) in [
            (&pending, vec!["body", "send_at", "expires_at"]),
            (&received, vec!["body", "send_at", "expires_at"]),
            (&chat_id, vec!["send_at", "expires_at"]),
        ] {
            for field in &fields {
                let refusal = t.refused(edit_message(id, &[field], |m| m.body = "new".to_owned())).await;
                assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "NOT_EDITABLE"), "{field}");
                assert_eq!(refusal.metadata("fields"), *field);
            }
            let with_metadata: Vec<&str> = fields.iter().copied().chain(["metadata"]).collect();
            let refusal = t.refused(edit_message(id, &with_metadata, |m| {
                m.body = "new".to_owned();
                m.metadata = Some(json("a", "b"));
            })).await;
            assert_eq!(refusal.metadata("fields"), fields.join(","), "all of them at once");
            assert_eq!(t.message(id).await.version, 1, "no field was changed");
        }
    }

    async fn the_text_of_a_chat_message_can_be_edited(t: Caller) {
        let message = t.ok(chat("", "hi")).await;
        let changed = t.ok(edit_message(&message.id, &["body"], |m| m.body = "hello".to_owned())).await;
        assert_eq!((changed.body.as_str(), changed.status()), ("hello", MessageStatus::Delivered));
        assert_eq!(t.all_messages(&message.conversation_id).await, [changed]);
    }

    async fn an_edit_with_a_stale_etag_is_refused(t: Caller) {
        let message = scheduled(&t).await;
        let edit = |etag: &str, body: &str| edit_message(&message.id, &["body"], |m| {
            m.etag = etag.to_owned();
            m.body = body.to_owned();
        });
        let changed = t.ok(edit(&message.etag, "1")).await;
        let refusal = t.refused(edit(&message.etag, "2")).await;
        assert_eq!(refusal.code_and_reason(), (Code::Aborted, "ETAG_MISMATCH"));
        assert_eq!(t.refused(edit("made up", "2")).await.code_and_reason(), (Code::Aborted, "ETAG_MISMATCH"));
        assert_eq!(t.message(&message.id).await, changed);
        t.ok(edit(&changed.etag, "2")).await;
        t.ok(edit("", "3")).await;
    }

    /// A receipt does not change the etag.
    async fn a_receipt_does_not_change_the_etag(t: Caller) {
        let message = t.ok(sms(&t.pair().await, "hi")).await;
        let sent = t.ok(make::report(&message.id, MessageStatus::Sent)).await;
        assert_eq!((&sent.etag, sent.version), (&message.etag, 2));
        let changed = t.ok(edit_message(&message.id, &[], |m| {
            m.etag = message.etag.clone();
            m.metadata = Some(json("a", "b"));
        })).await;
        assert_eq!((changed.version, changed.status()), (3, MessageStatus::Sent));
        assert_ne!(changed.etag, message.etag);
    }

    async fn an_edit_without_changes_keeps_the_version(t: Caller) {
        let message = scheduled(&t).await;
        let same = t.ok(edit_message(&message.id, &["body", "metadata", "send_at", "expires_at"], |m| {
            let v1::Message { body, metadata, send_at, expires_at, .. } = message.clone();
            (m.body, m.metadata, m.send_at, m.expires_at) = (body, metadata, send_at, expires_at);
        })).await;
        assert_eq!(same, message);
        assert_eq!(t.ok(edit_message(&message.id, &[], |_| ())).await, message);
    }
}
