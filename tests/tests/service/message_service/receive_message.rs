//! `ReceiveMessage`.

use futures_util::future::join_all;
use parlance_proto::v1::{self, MessageStatus, ReceiveMessageRequest as Receive};
use parlance_tests::Caller;
use parlance_tests::make::{self, at, file, inbound_sms, phones};
use tonic::Code;

on_both! {
    async fn a_received_text_message_is_unread(t: Caller) {
        let pair = t.pair().await;
        let request = Receive { user: "ana".to_owned(), metadata: Some(make::json("a", "b")), ..inbound_sms(&pair, "hello") };
        let message = t.ok(request.clone()).await;
        let expected = v1::Message {
            id: message.id.clone(),
            conversation_id: message.conversation_id.clone(),
            sequence: 1,
            channel: v1::Channel::Sms.into(),
            direction: v1::Direction::Inbound.into(),
            status: MessageStatus::Received.into(),
            from_address: pair.theirs.clone(),
            to_address: pair.ours.clone(),
            body: "hello".to_owned(),
            provider: "simulator".to_owned(),
            provider_message_id: request.provider_message_id,
            segments: 1,
            metadata: Some(make::json("a", "b")),
            created_at: message.created_at,
            updated_at: message.created_at,
            version: 1,
            etag: message.etag.clone(),
            ..Default::default()
        };
        assert_eq!(message, expected);
        assert_eq!(t.message(&message.id).await, message);
        let conversation = t.conversation(&message.conversation_id).await;
        assert_eq!((&conversation.participant_from, &conversation.participant_to), (&pair.ours, &pair.theirs));
        assert_eq!((conversation.message_count, conversation.unread_count), (1, 1));
        assert_eq!(conversation.user, "ana");
    }

    async fn a_repeated_message_is_stored_once(t: Caller) {
        let pair = t.pair().await;
        let request = inbound_sms(&pair, "hello");
        let first = t.ok(request.clone()).await;
        let again = t.ok(request.clone()).await;
        assert_eq!(first, again);
        let other_body = t.ok(Receive { body: "other".to_owned(), from_address: make::phone(), ..request.clone() }).await;
        assert_eq!(first, other_body, "the provider's message id decides");
        let other_provider = t.ok(Receive { provider: "another".to_owned(), ..request.clone() }).await;
        assert_ne!(first.id, other_provider.id);
        let theirs = t.other().ok(Receive { to_address: make::phone(), ..request }).await;
        assert_ne!(first.id, theirs.id, "message ids are unique per owner");
        let conversation = t.conversation(&first.conversation_id).await;
        assert_eq!((conversation.message_count, conversation.unread_count), (2, 2));
    }

    async fn concurrent_copies_of_a_message_are_stored_once(t: Caller) {
        let pair = t.pair().await;
        let request = inbound_sms(&pair, "hello");
        let answers = join_all((0..16).map(|_| t.ok_retrying(request.clone()))).await;
        assert!(answers.iter().all(|message| *message == answers[0]));
        // Delivered to two of our numbers: the message is stored at one of them.
        let mut racing: Vec<Receive> = Vec::new();
        let request = inbound_sms(&pair, "hello");
        for _ in 0..4 {
            racing.push(request.clone());
            racing.push(Receive { to_address: phones().ours, ..request.clone() });
        }
        let answers = join_all(racing.into_iter().map(|request| t.ok_retrying(request))).await;
        assert!(answers.iter().all(|message| message.id == answers[0].id));
    }

    async fn a_repeated_message_may_have_a_request_id(t: Caller) {
        let pair = t.pair().await;
        let request = Receive { request_id: "r".to_owned(), ..inbound_sms(&pair, "hello") };
        let (first, replayed) = t.ok_or_replayed(request.clone()).await;
        assert!(!replayed);
        let (again, _) = t.ok_or_replayed(request.clone()).await;
        assert_eq!(first, again);
        let other = Receive { provider_message_id: make::unique("in"), ..request };
        assert_eq!(t.refused(other).await.code_and_reason(), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    }

    async fn a_deleted_message_is_not_counted(t: Caller) {
        let pair = t.pair().await;
        let request = inbound_sms(&pair, "hello");
        let first = t.ok(request.clone()).await;
        t.ok(make::delete_message(&first.id)).await;
        assert_eq!(t.refused(make::get_message(&first.id)).await.code, Code::NotFound);
        let conversation = t.conversation(&first.conversation_id).await;
        assert_eq!((conversation.message_count, conversation.unread_count), (0, 0));
        assert_eq!(conversation.last_message_at, None);
    }

    async fn received_at_is_the_time_of_the_message(t: Caller) {
        let pair = t.pair().await;
        let old = t.ok(Receive { received_at: Some(at(1_700_000_000)), ..inbound_sms(&pair, "old") }).await;
        assert_eq!(old.created_at, Some(at(1_700_000_000)));
        let conversation = t.conversation(&old.conversation_id).await;
        assert_eq!(conversation.last_message_at, Some(at(1_700_000_000)));
        let new = t.ok(inbound_sms(&pair, "new")).await;
        let older = t.ok(Receive { received_at: Some(at(1_600_000_000)), ..inbound_sms(&pair, "older") }).await;
        assert_eq!((old.sequence, new.sequence, older.sequence), (1, 2, 3), "sequences follow the commit order");
        let conversation = t.conversation(&old.conversation_id).await;
        assert_eq!(conversation.last_message_at, new.created_at);
    }

    async fn a_message_may_be_received_into_a_conversation(t: Caller) {
        let pair = t.pair().await;
        let sent = t.ok(make::sms(&pair, "hi")).await;
        let reply = t.ok(Receive {
            conversation_id: sent.conversation_id.clone(),
            body: "yes".to_owned(),
            provider: "simulator".to_owned(),
            provider_message_id: make::unique("in"),
            attachments: vec![file("a.png", "image/png", "data")],
            ..Default::default()
        }).await;
        assert_eq!((reply.sequence, reply.channel()), (2, v1::Channel::Mms));
        assert_eq!((reply.from_address, reply.to_address), (pair.theirs, pair.ours));
    }

    async fn mail_and_chat_messages_are_received(t: Caller) {
        let pair = t.mail_pair().await;
        let email = t.ok(Receive {
            channel: v1::Channel::Email.into(),
            subject: "Re: hello".to_owned(),
            html_body: "<p>hi</p>".to_owned(),
            quoted_body: "> hello".to_owned(),
            cc_addresses: vec!["A@EXAMPLE.com".to_owned()],
            ..inbound_sms(&pair, "hi")
        }).await;
        assert_eq!((email.channel(), email.status()), (v1::Channel::Email, MessageStatus::Received));
        assert_eq!(email.cc_addresses, ["A@example.com"]);
        assert_eq!(email.quoted_body, "> hello");
        assert_eq!(t.message(&email.id).await, email);
        let message = t.ok(Receive {
            channel: v1::Channel::Chat.into(),
            external_id: "session".to_owned(),
            body: "hi".to_owned(),
            provider: "widget".to_owned(),
            provider_message_id: make::unique("in"),
            ..Default::default()
        }).await;
        assert_eq!((message.direction(), message.role()), (v1::Direction::Inbound, v1::Role::User));
        assert_eq!(message.conversation_id, t.ok(make::chat("session", "hello")).await.conversation_id);
    }

    async fn recipients_of_a_mail_are_deduplicated(t: Caller) {
        let pair = t.mail_pair().await;
        let (local, domain) = pair.ours.split_once('@').unwrap();
        let recipient = format!("{local}@{}", domain.to_uppercase());
        let given = ["Ann@EXAMPLE.com", &recipient, "Ann@example.com", "bob@example.com"];
        let email = t.ok(Receive {
            channel: v1::Channel::Email.into(),
            cc_addresses: given.map(str::to_owned).to_vec(),
            ..inbound_sms(&pair, "hi")
        }).await;
        assert_eq!(email.cc_addresses, ["Ann@example.com", "bob@example.com"]);
        assert_eq!(t.message(&email.id).await.cc_addresses, email.cc_addresses);
    }

    async fn a_closed_conversation_takes_no_inbound_message(t: Caller) {
        let pair = t.pair().await;
        let closed = t.ok(inbound_sms(&pair, "hi")).await.conversation_id;
        t.ok(make::set_status(&closed, v1::ConversationStatus::Closed)).await;
        let into_closed = Receive {
            conversation_id: closed.clone(),
            body: "hi".to_owned(),
            provider: "simulator".to_owned(),
            provider_message_id: make::unique("in"),
            ..Default::default()
        };
        assert_eq!(t.refused(into_closed).await.code_and_reason(), (Code::FailedPrecondition, "CONVERSATION_CLOSED"));
        assert_ne!(t.ok(inbound_sms(&pair, "hi")).await.conversation_id, closed);
    }
}
