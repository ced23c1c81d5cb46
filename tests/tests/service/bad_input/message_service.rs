//! `MessageService`: sent messages and reads.

use parlance_proto::v1::{self, SendMessageRequest as Send};
use parlance_tests::Caller;
use parlance_tests::make::{
    self, at, chat, edit_message, far_future, file, mail, mail_addresses, phones, sms,
};

use super::{
    INVALID_IDS, INVALID_MAIL_ADDRESSES, INVALID_PHONES, INVALID_TIMESTAMPS, UNKNOWN_ID,
    assert_accepted, assert_rejected, bad_metadata, long, metadata_of,
};

fn text() -> Send {
    sms(&phones(), "hello")
}

fn email() -> Send {
    mail(&mail_addresses(), "hello")
}

fn with(mut request: Send, change: impl FnOnce(&mut Send)) -> Send {
    change(&mut request);
    request
}

fn attached(attachment: v1::NewAttachment) -> Send {
    with(text(), |r| r.attachments = vec![attachment])
}

on_both! {
    async fn conversation_target_fields(t: Caller) {
        let mut table = vec![
            (Send::default(), vec!["conversation_id", "body"]),
            (with(text(), |r| r.channel = 0), vec!["channel"]),
            (with(text(), |r| r.channel = 99), vec!["channel"]),
            (with(text(), |r| r.channel = -1), vec!["channel"]),
            (with(text(), |r| r.external_id = "x".to_owned()), vec!["external_id"]),
            (with(email(), |r| r.external_id = "x".to_owned()), vec!["external_id"]),
            (with(text(), |r| r.user = long(256)), vec!["user"]),
            (with(text(), |r| r.user = "a\0".to_owned()), vec!["user"]),
            (with(text(), |r| r.to_address = "ACME".to_owned()), vec!["to_address"]),
            (with(chat("x", "hi"), |r| r.external_id = long(256)), vec!["external_id"]),
            (with(chat("x", "hi"), |r| r.external_id = "\0".to_owned()), vec!["external_id"]),
            (with(chat("x", "hi"), |r| r.user = long(256)), vec!["user"]),
            (with(chat("x", "hi"), |r| { r.from_address = make::phone(); r.to_address = make::phone(); }), vec!["from_address", "to_address"]),
            (with(text(), |r| r.conversation_id = UNKNOWN_ID.to_owned()), vec!["channel", "from_address", "to_address"]),
            (
                with(text(), |r| {
                    r.conversation_id = "x".to_owned();
                    r.user = "u".to_owned();
                    r.external_id = "e".to_owned();
                }),
                vec!["conversation_id", "channel", "from_address", "to_address", "user", "external_id"],
            ),
        ];
        for id in INVALID_IDS {
            table.push((make::reply(id, "hello"), vec!["conversation_id"]));
        }
        for phone in INVALID_PHONES {
            table.push((with(text(), |r| r.from_address = phone.to_owned()), vec!["from_address"]));
            table.push((with(text(), |r| r.to_address = phone.to_owned()), vec!["to_address"]));
        }
        for address in INVALID_MAIL_ADDRESSES {
            table.push((with(email(), |r| r.from_address = address.to_owned()), vec!["from_address"]));
            table.push((with(email(), |r| r.to_address = address.to_owned()), vec!["to_address"]));
        }
        let too_long = format!("{}@{}example.com", "x".repeat(60), "abcdefghi.".repeat(19));
        table.push((with(email(), |r| r.to_address = too_long), vec!["to_address"]));
        assert_rejected(&t, table).await;
    }

    async fn content_fields(t: Caller) {
        let kib = 1024;
        let mut table = vec![
            (with(text(), |r| r.body = String::new()), vec!["body"]),
            (with(text(), |r| r.body = " \n\t".to_owned()), vec!["body"]),
            (with(text(), |r| r.body = "a\0b".to_owned()), vec!["body"]),
            (with(text(), |r| r.body = long(1_601)), vec!["body"]),
            (with(text(), |r| r.subject = "s".to_owned()), vec!["subject"]),
            (with(text(), |r| r.html_body = "<p>".to_owned()), vec!["html_body"]),
            (with(text(), |r| r.cc_addresses = vec!["a@example.com".to_owned()]), vec!["cc_addresses"]),
            (with(text(), |r| r.role = 1), vec!["role"]),
            (with(text(), |r| r.role = 9), vec!["role"]),
            (with(text(), |r| r.tokens_used = Some(-1)), vec!["tokens_used"]),
            (with(text(), |r| r.latency_ms = Some(i64::MIN)), vec!["latency_ms"]),
            (with(text(), |r| r.policy = 7), vec!["policy"]),
            (with(text(), |r| r.request_id = long(256)), vec!["request_id"]),
            (with(text(), |r| r.request_id = "a\0b".to_owned()), vec!["request_id"]),
            (with(text(), |r| r.request_id = "a\nb".to_owned()), vec!["request_id"]),
            (with(email(), |r| r.body = "x".repeat(256 * kib + 1)), vec!["body"]),
            (with(email(), |r| r.html_body = "x".repeat(256 * kib + 1)), vec!["html_body"]),
            (with(email(), |r| r.html_body = "\0".to_owned()), vec!["html_body"]),
            (with(email(), |r| r.subject = long(999)), vec!["subject"]),
            (with(email(), |r| r.subject = "a\r\nBcc: b@example.com".to_owned()), vec!["subject"]),
            (with(email(), |r| r.subject = "a\0b".to_owned()), vec!["subject"]),
            (with(email(), |r| r.role = 1), vec!["role"]),
            (with(email(), |r| r.cc_addresses = vec!["a@example.com".to_owned(); 101]), vec!["cc_addresses"]),
            (
                with(email(), |r| r.cc_addresses = ["a@example.com", "x", "b@example.com", "@"].map(str::to_owned).to_vec()),
                vec!["cc_addresses[1]", "cc_addresses[3]"],
            ),
            (with(chat("", "hi"), |r| r.body = "x".repeat(256 * kib + 1)), vec!["body"]),
            (with(chat("", "hi"), |r| r.body = String::new()), vec!["body"]),
            (with(chat("", "hi"), |r| r.role = -5), vec!["role"]),
            (with(chat("", "hi"), |r| { r.send_at = Some(far_future(0)); r.expires_at = Some(far_future(1)); }), vec!["send_at", "expires_at"]),
            (
                with(chat("", "hi"), |r| {
                    r.subject = "s".to_owned();
                    r.html_body = "h".to_owned();
                    r.cc_addresses = vec!["a@example.com".to_owned()];
                }),
                vec!["subject", "html_body", "cc_addresses"],
            ),
        ];
        for metadata in bad_metadata() {
            table.push((with(text(), |r| r.metadata = Some(metadata)), vec!["metadata"]));
        }
        for timestamp in INVALID_TIMESTAMPS {
            table.push((with(text(), |r| r.send_at = Some(timestamp)), vec!["send_at"]));
            table.push((with(text(), |r| r.expires_at = Some(timestamp)), vec!["expires_at"]));
        }
        table.push((with(text(), |r| { r.send_at = Some(far_future(5)); r.expires_at = Some(far_future(5)); }), vec!["expires_at"]));
        table.push((with(text(), |r| { r.send_at = Some(far_future(5)); r.expires_at = Some(far_future(4)); }), vec!["expires_at"]));
        table.push((with(text(), |r| r.expires_at = Some(at(1_000))), vec!["expires_at"]));
        assert_rejected(&t, table).await;
    }

    async fn attachment_fields(t: Caller) {
        let good = || file("a.png", "image/png", "data");
        let bad = |change: fn(&mut v1::NewAttachment)| {
            let mut attachment = good();
            change(&mut attachment);
            attached(attachment)
        };
        let url = |url: &str| attached(v1::NewAttachment {
            content_type: "image/png".to_owned(),
            url: url.to_owned(),
            ..Default::default()
        });
        let mut table = vec![
            (with(text(), |r| r.attachments = vec![good(); 11]), vec!["attachments"]),
            (bad(|a| a.content_type = String::new()), vec!["attachments[0].content_type"]),
            (bad(|a| a.content_type = "png".to_owned()), vec!["attachments[0].content_type"]),
            (bad(|a| a.content_type = "image/png\r\nX: y".to_owned()), vec!["attachments[0].content_type"]),
            (bad(|a| a.content_type = format!("image/{}", "x".repeat(250))), vec!["attachments[0].content_type"]),
            (bad(|a| a.filename = "a\nb".to_owned()), vec!["attachments[0].filename"]),
            (bad(|a| a.filename = "a\0b".to_owned()), vec!["attachments[0].filename"]),
            (bad(|a| a.filename = "x".repeat(256)), vec!["attachments[0].filename"]),
            (bad(|a| a.content = bytes::Bytes::new()), vec!["attachments[0]"]),
            (bad(|a| a.url = "https://example.com/a".to_owned()), vec!["attachments[0]"]),
            (bad(|a| a.upload_id = UNKNOWN_ID.to_owned()), vec!["attachments[0]"]),
            (url("ftp://example.com/a"), vec!["attachments[0].url"]),
            (url("https://"), vec!["attachments[0].url"]),
            (url("https://example.com/a b"), vec!["attachments[0].url"]),
            (url(&format!("https://example.com/{}", "x".repeat(2_029))), vec!["attachments[0].url"]),
            (
                with(text(), |r| r.attachments = vec![good(), v1::NewAttachment::default(), file("\n", "x", "y")]),
                vec!["attachments[1]", "attachments[1].content_type", "attachments[2].filename", "attachments[2].content_type"],
            ),
        ];
        for id in INVALID_IDS {
            let upload = v1::NewAttachment { upload_id: id.to_owned(), ..Default::default() };
            table.push((attached(upload), vec!["attachments[0].upload_id"]));
        }
        assert_rejected(&t, table).await;
    }

    async fn all_invalid_fields_are_reported_at_once(t: Caller) {
        let request = Send {
            request_id: "\0".to_owned(),
            conversation_id: String::new(),
            channel: v1::Channel::Sms.into(),
            from_address: "x".repeat(12),
            to_address: "+1".to_owned(),
            user: long(256),
            external_id: "e".to_owned(),
            cc_addresses: vec!["c".to_owned()],
            subject: "s".to_owned(),
            body: "\0".to_owned(),
            html_body: "h".to_owned(),
            attachments: vec![v1::NewAttachment::default()],
            role: 9,
            tokens_used: Some(-1),
            latency_ms: Some(-1),
            metadata: Some(make::nested(31)),
            send_at: Some(INVALID_TIMESTAMPS[0]),
            expires_at: Some(INVALID_TIMESTAMPS[3]),
            policy: 9,
        };
        let fields = vec![
            "request_id", "from_address", "to_address", "user", "external_id", "cc_addresses", "subject", "body", "html_body",
            "attachments[0]", "attachments[0].content_type", "role", "tokens_used", "latency_ms", "metadata", "send_at",
            "expires_at", "policy",
        ];
        assert_rejected(&t, vec![(request, fields)]).await;
    }

    /// The channel is known only after the conversation is loaded.
    async fn fields_that_the_channel_of_the_conversation_lacks(t: Caller) {
        let text = t.ok(sms(&t.pair().await, "hi")).await.conversation_id;
        let chat_id = t.ok(chat("", "hi")).await.conversation_id;
        let email = t.ok(mail(&t.mail_pair().await, "hi")).await.conversation_id;
        let whole = |id: &str| with(make::reply(id, &"x".repeat(256 * 1024)), |r| {
            r.subject = "s".to_owned();
            r.html_body = "h".to_owned();
            r.cc_addresses = vec!["a@example.com".to_owned()];
            r.role = v1::Role::User.into();
        });
        let scheduled = |id: &str| with(make::reply(id, "x"), |r| {
            r.subject = "s".to_owned();
            r.send_at = Some(far_future(0));
            r.expires_at = Some(far_future(1));
        });
        assert_rejected(&t, vec![
            (whole(&text), vec!["subject", "html_body", "cc_addresses", "role", "body"]),
            (whole(&chat_id), vec!["subject", "html_body", "cc_addresses"]),
            (whole(&email), vec!["role"]),
            (scheduled(&chat_id), vec!["subject", "send_at", "expires_at"]),
            (with(make::reply(&chat_id, "x"), |r| r.expires_at = Some(far_future(1))), vec!["expires_at"]),
        ]).await;
    }

    async fn values_at_their_limit_are_accepted(t: Caller) {
        let pair = t.pair().await;
        let emails = t.mail_pair().await;
        let kib = 1024;
        let everything = Send {
            request_id: long(255),
            user: long(255),
            subject: long(998),
            body: "x".repeat(256 * kib),
            html_body: "x".repeat(256 * kib),
            cc_addresses: (0..100).map(|n| format!("c{n}@example.com")).collect(),
            attachments: vec![file(&"x".repeat(255), &format!("image/{}", "x".repeat(249)), "data"); 10],
            tokens_used: Some(1_000_000_000),
            latency_ms: Some(0),
            metadata: Some(metadata_of(16 * kib)),
            send_at: Some(far_future(0)),
            expires_at: Some(at(253_402_300_799)),
            policy: v1::DeliveryPolicy::AtMostOnce.into(),
            ..mail(&emails, "")
        };
        let address = format!("{}@{}example.com", "x".repeat(52), "abcdefghi.".repeat(19));
        assert_eq!(address.len(), 254);
        assert_accepted(&t, vec![
            everything,
            with(mail(&emails, "x"), |r| r.to_address = address),
            sms(&pair, &long(1_600)),
            with(sms(&pair, "x"), |r| r.metadata = Some(make::nested(30))),
            with(sms(&pair, "x"), |r| r.user = "x".repeat(255)),
            with(sms(&pair, "x"), |r| r.send_at = Some(at(-62_135_596_800))),
            with(sms(&pair, "x"), |r| r.to_address = "123".to_owned()),
            with(sms(&pair, "x"), |r| r.to_address = "12345678".to_owned()),
            with(sms(&pair, "x"), |r| r.from_address = make::unique("A").chars().take(11).collect()),
            with(sms(&pair, ""), |r| r.attachments = vec![v1::NewAttachment {
                content_type: "image/png".to_owned(),
                url: format!("https://example.com/{}", "x".repeat(2_028)),
                ..Default::default()
            }]),
            chat(&long(255), &"x".repeat(256 * kib)),
            with(email(), |r| { r.body = String::new(); r.subject = "only".to_owned(); }),
            with(email(), |r| { r.body = String::new(); r.html_body = "<p>only</p>".to_owned(); }),
        ]).await;
    }

    async fn get_message(t: Caller) {
        let by = |id: &str, provider: &str, provider_message_id: &str| v1::GetMessageRequest {
            id: id.to_owned(),
            provider: provider.to_owned(),
            provider_message_id: provider_message_id.to_owned(),
        };
        let mut table = vec![
            (by("", "", ""), vec!["id"]),
            (by(UNKNOWN_ID, "p", "1"), vec!["id"]),
            (by(UNKNOWN_ID, "", "1"), vec!["id"]),
            (by("", "p", ""), vec!["provider_message_id"]),
            (by("", "", "1"), vec!["provider"]),
            (by("", &long(65), &long(256)), vec!["provider", "provider_message_id"]),
            (by("", "\0", "\0"), vec!["provider", "provider_message_id"]),
        ];
        table.extend(INVALID_IDS.map(|id| (by(id, "", ""), vec!["id"])));
        assert_rejected(&t, table).await;
    }

    async fn batch_get_messages(t: Caller) {
        let of = |ids: &[&str]| v1::BatchGetMessagesRequest { ids: ids.iter().map(|&id| id.to_owned()).collect() };
        assert_rejected(&t, vec![
            (of(&[]), vec!["ids"]),
            (of(&[UNKNOWN_ID; 101]), vec!["ids"]),
            (of(&["", UNKNOWN_ID, "x"]), vec!["ids[0]", "ids[2]"]),
            (of(&INVALID_IDS), vec!["ids[0]", "ids[1]", "ids[2]", "ids[3]", "ids[4]", "ids[5]", "ids[6]"]),
        ]).await;
        assert_accepted(&t, vec![of(&[UNKNOWN_ID; 100])]).await;
    }

    async fn search_messages(t: Caller) {
        type Search = v1::SearchMessagesRequest;
        let good = make::search("hi");
        let mut table = vec![
            (make::search(&long(10_001)), vec!["query"]),
            (Search { user: long(256), ..good.clone() }, vec!["user"]),
            (Search { user: "\0".to_owned(), ..good.clone() }, vec!["user"]),
            (Search { channel: 99, ..good.clone() }, vec!["channel"]),
            (Search { direction: 3, ..good.clone() }, vec!["direction"]),
            (Search { status: -1, ..good.clone() }, vec!["status"]),
            (Search { page_size: -1, ..good.clone() }, vec!["page_size"]),
            (Search { page_token: long(1_025), ..good.clone() }, vec!["page_token"]),
            (
                Search {
                    query: long(20_000),
                    user: "\0".to_owned(),
                    conversation_id: "x".to_owned(),
                    channel: -1,
                    direction: -1,
                    status: 99,
                    created_after: Some(INVALID_TIMESTAMPS[0]),
                    created_before: Some(INVALID_TIMESTAMPS[3]),
                    page_size: i32::MIN,
                    page_token: "\0".to_owned(),
                },
                vec![
                    "query", "user", "conversation_id", "channel", "direction", "status", "created_after", "created_before",
                    "page_size", "page_token",
                ],
            ),
        ];
        table.extend(INVALID_IDS.map(|id| (Search { conversation_id: id.to_owned(), ..good.clone() }, vec!["conversation_id"])));
        for timestamp in INVALID_TIMESTAMPS {
            table.push((Search { created_after: Some(timestamp), ..good.clone() }, vec!["created_after"]));
            table.push((Search { created_before: Some(timestamp), ..good.clone() }, vec!["created_before"]));
        }
        table.extend(["x", "AAAA", "=", "ä", &"A".repeat(32)].map(|token| {
            (Search { page_token: token.to_owned(), ..good.clone() }, vec!["page_token"])
        }));
        assert_rejected(&t, table).await;
        assert_accepted(&t, vec![
            make::search(&long(10_000)),
            make::search("\0"),
            Search { conversation_id: UNKNOWN_ID.to_owned(), ..good.clone() },
            Search { created_after: Some(far_future(1)), created_before: Some(far_future(0)), page_size: i32::MAX, ..good },
        ]).await;
    }

    async fn list_messages(t: Caller) {
        let id = t.ok(chat("", "hi")).await.conversation_id;
        let good = make::list(&id);
        let mut table = vec![
            (make::list(""), vec!["conversation_id"]),
            (v1::ListMessagesRequest { page_size: -1, ..good.clone() }, vec!["page_size"]),
            (v1::ListMessagesRequest { after_sequence: -1, ..good.clone() }, vec!["after_sequence"]),
            (v1::ListMessagesRequest { page_token: long(1_025), ..good.clone() }, vec!["page_token"]),
            (v1::ListMessagesRequest { page_token: "\0".to_owned(), ..good.clone() }, vec!["page_token"]),
            (
                v1::ListMessagesRequest {
                    conversation_id: "x".to_owned(),
                    page_size: i32::MIN,
                    page_token: "\0".to_owned(),
                    after_sequence: i64::MIN,
                    ..Default::default()
                },
                vec!["conversation_id", "page_size", "page_token", "after_sequence"],
            ),
        ];
        table.extend(INVALID_IDS.map(|id| (make::list(id), vec!["conversation_id"])));
        table.extend(["x", "AAAA", "=", "ä", &"A".repeat(32)].map(|token| {
            (v1::ListMessagesRequest { page_token: token.to_owned(), ..good.clone() }, vec!["page_token"])
        }));
        assert_rejected(&t, table).await;
        assert_accepted(&t, vec![
            v1::ListMessagesRequest { page_size: i32::MAX, ..good.clone() },
            v1::ListMessagesRequest { after_sequence: i64::MAX, ..good },
        ]).await;
    }

    async fn update_message(t: Caller) {
        let mut table = vec![
            (v1::UpdateMessageRequest::default(), vec!["message"]),
            (v1::UpdateMessageRequest { message: None, update_mask: make::mask(&["x"]) }, vec!["message", "update_mask"]),
            (edit_message("", &[], |_| ()), vec!["message.id"]),
            (edit_message(UNKNOWN_ID, &["*"], |_| ()), vec!["update_mask"]),
            (edit_message(UNKNOWN_ID, &["status"], |_| ()), vec!["update_mask"]),
            (edit_message(UNKNOWN_ID, &["message.body"], |_| ()), vec!["update_mask"]),
            (edit_message(UNKNOWN_ID, &["body", "id"], |_| ()), vec!["update_mask"]),
            (edit_message(UNKNOWN_ID, &[], |m| m.etag = long(65)), vec!["message.etag"]),
            (edit_message(UNKNOWN_ID, &[], |m| m.body = "\0".to_owned()), vec!["message.body"]),
            (edit_message(UNKNOWN_ID, &[], |m| m.body = "x".repeat(256 * 1024 + 1)), vec!["message.body"]),
            (edit_message(UNKNOWN_ID, &[], |m| { m.send_at = Some(far_future(5)); m.expires_at = Some(far_future(5)); }), vec!["message.expires_at"]),
            (edit_message(UNKNOWN_ID, &[], |m| m.expires_at = Some(at(1_000))), vec!["message.expires_at"]),
            (
                edit_message("x", &["nothing", "body", "metadata", "send_at", "expires_at"], |m| {
                    m.etag = long(65);
                    m.body = "\0".to_owned();
                    m.metadata = Some(make::nested(31));
                    m.send_at = Some(INVALID_TIMESTAMPS[0]);
                    m.expires_at = Some(INVALID_TIMESTAMPS[1]);
                }),
                vec!["update_mask", "message.id", "message.etag", "message.body", "message.metadata", "message.send_at", "message.expires_at"],
            ),
        ];
        for id in INVALID_IDS {
            table.push((edit_message(id, &[], |_| ()), vec!["message.id"]));
        }
        for metadata in bad_metadata() {
            table.push((edit_message(UNKNOWN_ID, &[], |m| m.metadata = Some(metadata)), vec!["message.metadata"]));
        }
        for timestamp in INVALID_TIMESTAMPS {
            table.push((edit_message(UNKNOWN_ID, &[], |m| m.send_at = Some(timestamp)), vec!["message.send_at"]));
            table.push((edit_message(UNKNOWN_ID, &[], |m| m.expires_at = Some(timestamp)), vec!["message.expires_at"]));
        }
        assert_rejected(&t, table).await;
    }

    /// The rules for a body depend on the channel of the message.
    async fn update_message_by_its_channel(t: Caller) {
        let pair = t.pair().await;
        let text = t.ok(with(sms(&pair, "x"), |r| r.send_at = Some(far_future(0)))).await.id;
        let chat_id = t.ok(chat("", "x")).await.id;
        let body = |id: &str, body: String| make::edit_message(id, &["body"], |m| m.body = body);
        assert_rejected(&t, vec![
            (body(&text, long(1_601)), vec!["message.body"]),
            (body(&text, String::new()), vec!["message.body"]),
            (body(&chat_id, " ".to_owned()), vec!["message.body"]),
            (make::edit_message(&text, &[], |m| m.expires_at = Some(far_future(0))), vec!["message.expires_at"]),
        ]).await;
        assert_accepted(&t, vec![body(&text, long(1_600)), body(&chat_id, "x".repeat(256 * 1024))]).await;
    }

    /// The rules for a time depend on the other time of the message.
    async fn update_message_by_its_times(t: Caller) {
        let id = t.ok(with(sms(&t.pair().await, "x"), |r| {
            r.send_at = Some(far_future(0));
            r.expires_at = Some(far_future(5));
        })).await.id;
        let send_at = |seconds: i64| make::edit_message(&id, &["send_at"], |m| m.send_at = Some(far_future(seconds)));
        assert_rejected(&t, vec![
            (send_at(5), vec!["message.send_at"]),
            (send_at(6), vec!["message.send_at"]),
        ]).await;
        let without_expiry = make::edit_message(&id, &["send_at", "expires_at"], |m| m.send_at = Some(far_future(6)));
        assert_accepted(&t, vec![send_at(4), without_expiry]).await;
    }

    async fn update_message_status(t: Caller) {
        use v1::MessageStatus as S;
        let report = make::report;
        let with = |change: fn(&mut v1::UpdateMessageStatusRequest)| {
            let mut request = report(UNKNOWN_ID, S::Sent);
            change(&mut request);
            request
        };
        let error = |code: &str, message: &str, provider_code: &str| {
            let mut request = report(UNKNOWN_ID, S::Failed);
            request.error = Some(v1::MessageError {
                code: code.to_owned(),
                message: message.to_owned(),
                provider_code: provider_code.to_owned(),
            });
            request
        };
        let mut table = vec![
            (v1::UpdateMessageStatusRequest::default(), vec!["id", "status"]),
            (with(|r| r.status = 99), vec!["status"]),
            (with(|r| r.status = -1), vec!["status"]),
            (with(|r| r.provider = "p".to_owned()), vec!["id"]),
            (with(|r| { r.id.clear(); r.provider = "p".to_owned(); }), vec!["provider_message_id"]),
            (with(|r| { r.id.clear(); r.provider_message_id = long(256); }), vec!["provider", "provider_message_id"]),
            (error(&long(65), &long(1_025), &long(65)), vec!["error.code", "error.message", "error.provider_code"]),
            (error("\0", "\0", "\0"), vec!["error.code", "error.message", "error.provider_code"]),
        ];
        let no_reports = [
            S::Unspecified, S::Scheduled, S::Pending, S::Sending, S::Uncertain, S::Expired, S::Canceled, S::Received,
        ];
        table.extend(no_reports.map(|status| (report(UNKNOWN_ID, status), vec!["status"])));
        for timestamp in INVALID_TIMESTAMPS {
            let mut request = report(UNKNOWN_ID, S::Sent);
            request.occurred_at = Some(timestamp);
            table.push((request, vec!["occurred_at"]));
        }
        table.extend(INVALID_IDS.map(|id| (report(id, S::Sent), vec!["id"])));
        assert_rejected(&t, table).await;

        let message = t.ok(sms(&t.pair().await, "x")).await.id;
        let mut largest = error(&long(64), &long(1_024), &long(64));
        largest.id = message;
        assert_accepted(&t, vec![largest]).await;
    }

    async fn delete_message(t: Caller) {
        let mut table = vec![
            (make::delete_message(""), vec!["id"]),
            (v1::DeleteMessageRequest { id: "x".to_owned(), etag: "\0".to_owned() }, vec!["id", "etag"]),
            (v1::DeleteMessageRequest { id: UNKNOWN_ID.to_owned(), etag: long(65) }, vec!["etag"]),
        ];
        table.extend(INVALID_IDS.map(|id| (make::delete_message(id), vec!["id"])));
        assert_rejected(&t, table).await;
    }

    async fn cancel_message(t: Caller) {
        assert_rejected(&t, [""].into_iter().chain(INVALID_IDS).map(|id| (make::cancel(id), vec!["id"])).collect()).await;
    }

    async fn list_message_events(t: Caller) {
        assert_rejected(&t, [""].into_iter().chain(INVALID_IDS).map(|id| (make::list_message_events(id), vec!["id"])).collect()).await;
    }

    /// The rules of a send, except for `request_id`: a preview stores nothing under it.
    async fn preview_message(t: Caller) {
        use make::preview;
        let pair = t.pair().await;
        let chat_id = t.ok(chat("", "hi")).await.conversation_id;
        let mut table = vec![
            (preview(Send::default()), vec!["conversation_id", "body"]),
            (preview(with(text(), |r| r.channel = 99)), vec!["channel"]),
            (preview(with(text(), |r| r.conversation_id = UNKNOWN_ID.to_owned())), vec!["channel", "from_address", "to_address"]),
            (preview(with(text(), |r| r.body = long(1_601))), vec!["body"]),
            (preview(with(email(), |r| r.cc_addresses = vec!["a@example.com".to_owned(), "x".to_owned()])), vec!["cc_addresses[1]"]),
            (preview(attached(v1::NewAttachment::default())), vec!["attachments[0]", "attachments[0].content_type"]),
            (preview(with(text(), |r| r.expires_at = Some(at(1_000)))), vec!["expires_at"]),
            (preview(with(text(), |r| { r.send_at = Some(far_future(5)); r.expires_at = Some(far_future(5)); })), vec!["expires_at"]),
            (
                preview(with(make::reply(&chat_id, "x"), |r| {
                    r.subject = "s".to_owned();
                    r.send_at = Some(far_future(0));
                    r.expires_at = Some(far_future(1));
                })),
                vec!["subject", "send_at", "expires_at"],
            ),
            (
                preview(with(text(), |r| {
                    r.from_address = "x".repeat(12);
                    r.to_address = "+1".to_owned();
                    r.user = long(256);
                    r.external_id = "e".to_owned();
                    r.role = 9;
                    r.tokens_used = Some(-1);
                    r.latency_ms = Some(-1);
                    r.metadata = Some(make::nested(31));
                    r.policy = 9;
                })),
                vec!["from_address", "to_address", "user", "external_id", "role", "tokens_used", "latency_ms", "metadata", "policy"],
            ),
        ];
        table.extend(INVALID_IDS.map(|id| (preview(make::reply(id, "hello")), vec!["conversation_id"])));
        table.extend(INVALID_PHONES.map(|phone| (preview(with(text(), |r| r.to_address = phone.to_owned())), vec!["to_address"])));
        table.extend(INVALID_MAIL_ADDRESSES.map(|address| (preview(with(email(), |r| r.from_address = address.to_owned())), vec!["from_address"])));
        for timestamp in INVALID_TIMESTAMPS {
            table.push((preview(with(text(), |r| r.send_at = Some(timestamp))), vec!["send_at"]));
        }
        assert_rejected(&t, table).await;
        assert_accepted(&t, vec![
            preview(with(sms(&pair, &long(1_600)), |r| r.request_id = "\0".to_owned())),
            preview(with(sms(&pair, "x"), |r| r.request_id = long(256))),
        ]).await;
    }
}
