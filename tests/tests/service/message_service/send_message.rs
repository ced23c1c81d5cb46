//! `SendMessage`: the conversation and the fields of a sent message.

use futures_util::future::join_all;
use parlance_proto::v1::{self, MessageStatus, SendMessageRequest as Send};
use parlance_tests::Caller;
use parlance_tests::make::{self, Pair, chat, far_future, file, mail, set_status, sms};
use tonic::Code;

on_both! {
    async fn a_text_message_creates_its_conversation(t: Caller) {
        let pair = t.pair().await;
        let request = Send {
            user: "ana@example.com".to_owned(),
            metadata: Some(make::json("order", "17")),
            tokens_used: Some(0),
            latency_ms: Some(12),
            ..sms(&pair, "hello")
        };
        let message = t.ok(request).await;
        let expected = v1::Message {
            id: message.id.clone(),
            conversation_id: message.conversation_id.clone(),
            sequence: 1,
            channel: v1::Channel::Sms.into(),
            direction: v1::Direction::Outbound.into(),
            status: MessageStatus::Pending.into(),
            from_address: pair.ours.clone(),
            to_address: pair.theirs.clone(),
            body: "hello".to_owned(),
            provider: "simulator".to_owned(),
            segments: 1,
            tokens_used: Some(0),
            latency_ms: Some(12),
            metadata: Some(make::json("order", "17")),
            created_at: message.created_at,
            updated_at: message.created_at,
            version: 1,
            etag: message.etag.clone(),
            ..Default::default()
        };
        assert_eq!(message, expected);
        assert_eq!(message.id.chars().nth(14), Some('7'), "a UUIDv7");
        assert!(message.created_at.is_some() && !message.etag.is_empty());
        assert_eq!(t.message(&message.id).await, message, "a read returns what the send returned");

        let conversation = t.conversation(&message.conversation_id).await;
        let expected = v1::Conversation {
            id: message.conversation_id.clone(),
            owner: t.owner().to_owned(),
            user: "ana@example.com".to_owned(),
            channel: v1::Channel::Sms.into(),
            participant_from: pair.ours,
            participant_to: pair.theirs,
            status: v1::ConversationStatus::Active.into(),
            message_count: 1,
            last_message_at: message.created_at,
            created_at: message.created_at,
            updated_at: message.created_at,
            version: 1,
            etag: conversation.etag.clone(),
            ..Default::default()
        };
        assert_eq!(conversation, expected);
    }

    async fn later_messages_go_to_the_same_conversation(t: Caller) {
        let pair = t.pair().await;
        let first = t.ok(sms(&pair, "1")).await;
        let opened = t.conversation(&first.conversation_id).await;
        let second = t.ok(Send { user: "another user".to_owned(), ..sms(&pair, "2") }).await;
        let third = t.ok(make::reply(&first.conversation_id, "3")).await;
        let fourth = t.ok(make::inbound_sms(&pair, "4")).await;
        let positions: Vec<_> = [&first, &second, &third, &fourth].map(|m| (m.conversation_id.as_str(), m.sequence)).to_vec();
        let id = first.conversation_id.as_str();
        assert_eq!(positions, [(id, 1), (id, 2), (id, 3), (id, 4)]);
        assert_eq!((third.from_address, third.to_address), (pair.ours, pair.theirs));

        let conversation = t.conversation(id).await;
        assert_eq!((conversation.message_count, conversation.unread_count), (4, 1));
        assert_eq!(conversation.last_message_at, fourth.created_at);
        assert_eq!(conversation.user, opened.user, "the user is set by the first message");
        assert_eq!(conversation.version, 4, "every write increments the version");
        assert_eq!(conversation.etag, opened.etag, "messages do not change the etag");
    }

    async fn attachments_make_a_text_an_mms(t: Caller) {
        let pair = t.pair().await;
        let text = t.ok(sms(&pair, "hi")).await;
        let picture = vec![file("a.png", "image/png", "data")];
        let mms = t.ok(Send { attachments: picture.clone(), ..sms(&pair, "") }).await;
        let named = t.ok(Send { channel: v1::Channel::Mms.into(), ..sms(&pair, "hi") }).await;
        let reply = t.ok(Send { attachments: picture, ..make::reply(&text.conversation_id, "") }).await;
        for message in [&mms, &named, &reply] {
            assert_eq!(message.channel(), v1::Channel::Mms);
            assert_eq!((&message.conversation_id, message.segments), (&text.conversation_id, 0));
        }
        assert_eq!(t.conversation(&text.conversation_id).await.channel(), v1::Channel::Sms);
    }

    async fn mail_addresses_are_compared_in_canonical_form(t: Caller) {
        let pair = t.mail_pair().await;
        let first = t.ok(Send {
            subject: "Hello".to_owned(),
            html_body: "<p>hi</p>".to_owned(),
            cc_addresses: vec!["Ann@EXAMPLE.com".to_owned()],
            ..mail(&pair, "hi")
        }).await;
        assert_eq!(first.cc_addresses, ["Ann@example.com"]);
        assert_eq!((first.subject.as_str(), first.html_body.as_str(), first.segments), ("Hello", "<p>hi</p>", 0));
        let uppercase_domain = |address: &str| {
            let (local, domain) = address.split_once('@').unwrap();
            format!("{local}@{}", domain.to_uppercase())
        };
        let same = Pair { ours: uppercase_domain(&pair.ours), theirs: uppercase_domain(&pair.theirs) };
        let second = t.ok(mail(&same, "hi")).await;
        assert_eq!((second.conversation_id.as_str(), second.sequence), (first.conversation_id.as_str(), 2));
        assert_eq!((&second.from_address, &second.to_address), (&pair.ours, &pair.theirs));

        let other_case = Pair { theirs: pair.theirs.replace("They", "they"), ..pair };
        let third = t.ok(mail(&other_case, "hi")).await;
        assert_ne!(third.conversation_id, first.conversation_id, "the local part is case-sensitive");
    }

    async fn cc_addresses_are_deduplicated(t: Caller) {
        let pair = t.mail_pair().await;
        let (local, domain) = pair.theirs.split_once('@').unwrap();
        let recipient = format!("{local}@{}", domain.to_uppercase());
        let given = ["Ann@EXAMPLE.com", &recipient, "Ann@example.com", "bob@example.com"];
        let sent = t.ok(Send { cc_addresses: given.map(str::to_owned).to_vec(), ..mail(&pair, "hi") }).await;
        assert_eq!(sent.cc_addresses, ["Ann@example.com", "bob@example.com"]);
        assert_eq!(t.message(&sent.id).await.cc_addresses, sent.cc_addresses);
    }

    async fn a_conversation_belongs_to_one_direction_and_owner(t: Caller) {
        let pair = t.pair().await;
        let text = t.ok(sms(&pair, "hi")).await;
        let back = Pair { ours: pair.theirs.clone(), theirs: pair.ours.clone() };
        let other_way = t.ok(sms(&back, "hi")).await;
        assert_ne!(text.conversation_id, other_way.conversation_id, "swapped addresses are another conversation");
        let other_owner = t.other().ok(sms(&Pair { ours: make::phone(), theirs: pair.theirs }, "hi")).await;
        assert_ne!(text.conversation_id, other_owner.conversation_id);
    }

    async fn a_chat_is_found_by_its_external_id(t: Caller) {
        let first = t.ok(Send { user: "ana".to_owned(), ..chat("session-1", "hello") }).await;
        assert_eq!((first.sequence, first.status()), (1, MessageStatus::Delivered));
        assert_eq!((first.direction(), first.role()), (v1::Direction::Inbound, v1::Role::User));
        assert_eq!(first.delivered_at, first.created_at);
        assert_eq!((first.from_address.as_str(), first.to_address.as_str(), first.provider.as_str()), ("", "", ""));
        assert_eq!(first.segments, 0);
        for role in [v1::Role::Assistant, v1::Role::System] {
            let message = t.ok(Send { role: role.into(), ..chat("session-1", "hello") }).await;
            assert_eq!(message.conversation_id, first.conversation_id);
            assert_eq!((message.direction(), message.role()), (v1::Direction::Outbound, role));
        }
        let conversation = t.conversation(&first.conversation_id).await;
        assert_eq!((conversation.external_id.as_str(), conversation.user.as_str()), ("session-1", "ana"));
        assert_eq!((conversation.message_count, conversation.unread_count), (3, 0), "what is sent in a chat is never unread");
        let by_external_id = v1::GetConversationRequest { external_id: "session-1".to_owned(), ..Default::default() };
        assert_eq!(t.ok(by_external_id).await, conversation);

        let theirs = t.other().ok(chat("session-1", "hello")).await;
        assert_ne!(theirs.conversation_id, first.conversation_id, "external ids are per owner");
    }

    async fn a_chat_without_an_external_id_is_new_each_time(t: Caller) {
        let one = t.ok(chat("", "hi")).await;
        let two = t.ok(chat("", "hi")).await;
        assert_ne!(one.conversation_id, two.conversation_id);
        assert_eq!((one.sequence, two.sequence), (1, 1));
        assert_eq!(t.conversation(&one.conversation_id).await.external_id, "");
    }

    async fn an_external_id_may_be_taken_by_another_channel(t: Caller) {
        let mut request = make::create(&t.pair().await);
        request.conversation.as_mut().unwrap().external_id = "ticket-1".to_owned();
        let taken = t.ok(request).await;
        let refusal = t.refused(chat("ticket-1", "hi")).await;
        assert_eq!(refusal.code_and_reason(), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));
        assert_eq!(refusal.metadata("conversation_id"), taken.id);
    }

    async fn a_message_with_a_send_time_is_scheduled(t: Caller) {
        let pair = t.pair().await;
        let later = t.ok(Send { send_at: Some(far_future(1)), expires_at: Some(far_future(2)), ..sms(&pair, "later") }).await;
        assert_eq!(later.status(), MessageStatus::Scheduled);
        assert_eq!((later.send_at, later.expires_at), (Some(far_future(1)), Some(far_future(2))));
        let passed = t.ok(Send { send_at: Some(make::at(1_000)), ..sms(&pair, "now") }).await;
        assert_eq!(passed.status(), MessageStatus::Pending);
    }

    async fn the_default_expiry_of_the_sender_applies(t: Caller) {
        let pair = make::phones();
        let sender = v1::Sender {
            channel: v1::Channel::Sms.into(),
            address: pair.ours.clone(),
            status: v1::SenderStatus::Paused.into(),
            default_expiry: Some(prost_types::Duration { seconds: 3_600, nanos: 0 }),
            ..Default::default()
        };
        t.ok(v1::CreateSenderRequest { sender: Some(sender) }).await;
        let after = |message: &v1::Message, from: prost_types::Timestamp| message.expires_at.unwrap().seconds - from.seconds;
        let now = t.ok(sms(&pair, "now")).await;
        assert_eq!(after(&now, now.created_at.unwrap()), 3_600);
        let later = t.ok(Send { send_at: Some(far_future(0)), ..sms(&pair, "later") }).await;
        assert_eq!(after(&later, far_future(0)), 3_600, "counted from the send time");
        let own = t.ok(Send { expires_at: Some(far_future(7)), ..sms(&pair, "own") }).await;
        assert_eq!(own.expires_at, Some(far_future(7)));
    }

    async fn a_closed_conversation_takes_no_message(t: Caller) {
        let pair = t.pair().await;
        let closed = t.ok(sms(&pair, "hi")).await.conversation_id;
        t.ok(set_status(&closed, v1::ConversationStatus::Closed)).await;
        let refusal = t.refused(make::reply(&closed, "hi")).await;
        assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "CONVERSATION_CLOSED"));
        assert_eq!(refusal.metadata("conversation_id"), closed);

        let opened = t.ok(sms(&pair, "hi")).await;
        assert_ne!(opened.conversation_id, closed);
        assert_eq!(opened.sequence, 1);
        assert_eq!(t.conversation(&closed).await.message_count, 1);
        let second = t.ok(make::inbound_sms(&pair, "hi")).await;
        assert_eq!((second.conversation_id, second.sequence), (opened.conversation_id, 2));
    }

    async fn a_closed_chat_keeps_its_external_id(t: Caller) {
        let closed = t.ok(chat("session-2", "hi")).await.conversation_id;
        t.ok(set_status(&closed, v1::ConversationStatus::Closed)).await;
        let refusal = t.refused(chat("session-2", "hi")).await;
        assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "CONVERSATION_CLOSED"));
    }

    async fn a_message_activates_an_archived_conversation(t: Caller) {
        let pair = t.pair().await;
        let id = t.ok(sms(&pair, "hi")).await.conversation_id;
        for case in 0..3 {
            let archived = t.ok(set_status(&id, v1::ConversationStatus::Archived)).await;
            assert_eq!(archived.status(), v1::ConversationStatus::Archived);
            let message = match case {
                0 => t.ok(sms(&pair, "hi")).await,
                1 => t.ok(make::inbound_sms(&pair, "hi")).await,
                _ => t.ok(make::reply(&id, "hi")).await,
            };
            assert_eq!(message.conversation_id, id);
            let back = t.conversation(&id).await;
            assert_eq!(back.status(), v1::ConversationStatus::Active);
            assert_ne!(back.etag, archived.etag, "the status is part of the etag");
        }
    }

    async fn a_sender_of_another_owner_cannot_be_used(t: Caller) {
        let pair = t.other().pair().await;
        let refusal = t.refused(sms(&pair, "hi")).await;
        assert_eq!(refusal.code_and_reason(), (Code::PermissionDenied, "SENDER_OF_ANOTHER"));
        let refusal = t.refused(make::inbound_sms(&pair, "hi")).await;
        assert_eq!(refusal.code_and_reason(), (Code::PermissionDenied, "SENDER_OF_ANOTHER"));
        let refusal = t.refused(make::create(&pair)).await;
        assert_eq!(refusal.code_and_reason(), (Code::PermissionDenied, "SENDER_OF_ANOTHER"));
        let all = v1::ListConversationsRequest { with_total: true, ..Default::default() };
        assert_eq!(t.ok(all).await.total_size, 0, "a refused request creates no conversation");
    }

    /// While every provider is simulated, the first use of an address creates a simulated sender.
    async fn an_unknown_address_creates_a_sender(t: Caller) {
        let pair = make::phones();
        t.ok(Send { send_at: Some(far_future(0)), ..sms(&pair, "hi") }).await;
        let senders = t.ok(v1::ListSendersRequest::default()).await.senders;
        let made: Vec<_> = senders.iter().map(|s| (s.address.as_str(), s.provider.as_str(), s.status())).collect();
        assert_eq!(made, [(pair.ours.as_str(), "simulator", v1::SenderStatus::Active)]);
    }

    async fn segments_are_counted(t: Caller) {
        let pair = t.pair().await;
        for (body, segments) in [
            ("x".repeat(160), 1),
            ("x".repeat(161), 2),
            ("x".repeat(306), 2),
            ("x".repeat(307), 3),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("я".repeat(70), 1),
            ("я".repeat(71), 2),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
        ] {
            assert_eq!(t.ok(sms(&pair, &body)).await.segments, segments, "{body}");
        }
    }

    async fn texts_are_stored_unchanged(t: Caller) {
        use prost_types::value::Kind as Json;
        let body = "Zoë’s 😀 «\u{202e}text» \u{1}\n\t' \" \\ ; -- %s {0} \u{10ffff}";
        let metadata = make::object([
            ("null", Json::NullValue(0)),
            ("", Json::BoolValue(true)),
            ("whole", Json::NumberValue(9_007_199_254_740_991.0)),
            ("tiny", Json::NumberValue(-1.5e-300)),
            ("text", Json::StringValue(body.to_owned())),
            ("list", Json::ListValue(prost_types::ListValue { values: vec![prost_types::Value { kind: Some(Json::NumberValue(1.0)) }] })),
            ("object", Json::StructValue(make::json("a", "b"))),
        ]);
        let request = Send { metadata: Some(metadata.clone()), user: body.replace('\n', " "), ..chat("", body) };
        let message = t.ok(request).await;
        assert_eq!(t.message(&message.id).await.body, body);
        assert_eq!(t.message(&message.id).await.metadata, Some(metadata));
        assert_eq!(t.conversation(&message.conversation_id).await.user, body.replace('\n', " "));
    }

    async fn concurrent_sends_share_one_conversation_without_gaps(t: Caller) {
        let pair = t.pair().await;
        let sends = (0..32).map(|n| {
            let (t, pair) = (t.clone(), pair.clone());
            async move {
                // A send that lost every conflict may fail; a client repeats it.
                loop {
                    match t.call(sms(&pair, &n.to_string())).await {
                        Ok(message) => return message,
                        Err(status) if matches!(status.code(), Code::Aborted | Code::Unavailable) => {}
                        Err(status) => panic!("{status:?}"),
                    }
                }
            }
        });
        let messages = join_all(sends).await;
        let id = &messages[0].conversation_id;
        assert!(messages.iter().all(|m| m.conversation_id == *id));
        let mut sequences: Vec<_> = messages.iter().map(|m| m.sequence).collect();
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=32).collect::<Vec<i64>>());
        let conversation = t.conversation(id).await;
        assert_eq!((conversation.message_count, conversation.version), (32, 32));
    }
}
