//! `ReceiveMessage`: the rules of a sent message, except for content that the service cannot have corrected by its
//! sender.

use parlance_proto::v1::{self, ReceiveMessageRequest as Receive};
use parlance_tests::Caller;
use parlance_tests::make::{self, far_future, file, inbound_sms, phones};

use super::{
    INVALID_IDS, INVALID_PHONES, INVALID_TIMESTAMPS, assert_accepted, assert_rejected,
    bad_metadata, long, metadata_of,
};

fn text() -> Receive {
    inbound_sms(&phones(), "hello")
}

fn with(mut request: Receive, change: impl FnOnce(&mut Receive)) -> Receive {
    change(&mut request);
    request
}

on_both! {
    async fn invalid_fields(t: Caller) {
        let mut table = vec![
            (Receive::default(), vec!["conversation_id", "provider", "provider_message_id"]),
            (with(text(), |r| r.provider.clear()), vec!["provider"]),
            (with(text(), |r| r.provider_message_id.clear()), vec!["provider_message_id"]),
            (with(text(), |r| { r.provider = long(65); r.provider_message_id = long(256); }), vec!["provider", "provider_message_id"]),
            (with(text(), |r| { r.provider = "\0".to_owned(); r.provider_message_id = "\0".to_owned(); }), vec!["provider", "provider_message_id"]),
            (with(text(), |r| r.channel = 0), vec!["channel"]),
            (with(text(), |r| r.channel = 77), vec!["channel"]),
            (with(text(), |r| r.body = long(1_601)), vec!["body"]),
            (with(text(), |r| r.body = "\0".to_owned()), vec!["body"]),
            (with(text(), |r| r.subject = "s".to_owned()), vec!["subject"]),
            (with(text(), |r| r.html_body = "h".to_owned()), vec!["html_body"]),
            (with(text(), |r| r.cc_addresses = vec!["a@example.com".to_owned()]), vec!["cc_addresses"]),
            (with(text(), |r| r.quoted_body = "> hi".to_owned()), vec!["quoted_body"]),
            (with(text(), |r| r.role = 2), vec!["role"]),
            (with(text(), |r| r.user = long(256)), vec!["user"]),
            (with(text(), |r| r.external_id = "e".to_owned()), vec!["external_id"]),
            (with(text(), |r| r.request_id = long(256)), vec!["request_id"]),
            (with(text(), |r| { r.tokens_used = Some(-1); r.latency_ms = Some(-1); }), vec!["tokens_used", "latency_ms"]),
            (with(text(), |r| r.attachments = vec![file("a", "", "b")]), vec!["attachments[0].content_type"]),
            (
                with(text(), |r| r.conversation_id = "x".to_owned()),
                vec!["conversation_id", "channel", "from_address", "to_address"],
            ),
        ];
        for id in INVALID_IDS {
            let into_conversation = Receive { conversation_id: id.to_owned(), provider: "p".to_owned(), provider_message_id: "1".to_owned(), ..Default::default() };
            table.push((into_conversation, vec!["conversation_id"]));
        }
        for phone in INVALID_PHONES {
            table.push((with(text(), |r| r.from_address = phone.to_owned()), vec!["from_address"]));
            table.push((with(text(), |r| r.to_address = phone.to_owned()), vec!["to_address"]));
        }
        for metadata in bad_metadata() {
            table.push((with(text(), |r| r.metadata = Some(metadata)), vec!["metadata"]));
        }
        for timestamp in INVALID_TIMESTAMPS {
            table.push((with(text(), |r| r.received_at = Some(timestamp)), vec!["received_at"]));
        }
        assert_rejected(&t, table).await;
    }

    async fn fields_that_the_channel_of_the_conversation_lacks(t: Caller) {
        let pair = t.pair().await;
        let id = t.ok(inbound_sms(&pair, "hi")).await.conversation_id;
        let into_conversation = Receive {
            conversation_id: id,
            provider: "p".to_owned(),
            provider_message_id: "1".to_owned(),
            body: long(1_601),
            subject: "s".to_owned(),
            role: v1::Role::User.into(),
            ..Default::default()
        };
        assert_rejected(&t, vec![(into_conversation, vec!["body", "subject", "role"])]).await;
    }

    async fn inbound_messages_may_be_empty_and_from_an_alphanumeric_sender(t: Caller) {
        let pair = t.pair().await;
        assert_accepted(&t, vec![
            inbound_sms(&pair, ""),
            with(inbound_sms(&pair, "code 1234"), |r| r.from_address = "ACME".to_owned()),
            with(inbound_sms(&pair, "x"), |r| { r.provider = long(64); r.provider_message_id = make::unique(&long(200)); }),
            with(inbound_sms(&pair, "x"), |r| r.metadata = Some(metadata_of(16 * 1024))),
            with(inbound_sms(&pair, "x"), |r| r.received_at = Some(far_future(0))),
        ]).await;
    }
}
