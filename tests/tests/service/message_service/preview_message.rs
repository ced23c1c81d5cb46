//! `PreviewMessage`: what `SendMessage` would do, without doing it.

use parlance_proto::v1::{self, PreviewMessageResponse as Preview, SendMessageRequest as Send};
use parlance_tests::Caller;
use parlance_tests::make::{
    self, Pair, at, chat, far_future, file, mail, preview, set_status, sms,
};
use tonic::Code;

/// Asserts that the preview reports this reason, and that a send fails with the same one.
async fn not_allowed(t: &Caller, request: Send, reason: &str) {
    let seen = t.ok(preview(request.clone())).await;
    assert_eq!((seen.allowed, seen.reason.as_str()), (false, reason));
    let refusal = t.refused(request).await;
    assert_eq!(refusal.reason, reason, "{refusal:?}");
}

on_both! {
    async fn preview_of_a_text_message(t: Caller) {
        let pair = t.pair().await;
        let seen = t.ok(preview(sms(&pair, "hello"))).await;
        let expected = Preview {
            from_address: pair.ours.clone(),
            to_address: pair.theirs.clone(),
            encoding: "gsm7".to_owned(),
            segments: 1,
            allowed: true,
            reason: String::new(),
            provider: "simulator".to_owned(),
        };
        assert_eq!(seen, expected);
        let later = Send { send_at: Some(far_future(0)), expires_at: Some(far_future(1)), ..sms(&pair, "hello") };
        assert_eq!(t.ok(preview(later)).await, expected);
        let id = t.ok(sms(&pair, "hello")).await.conversation_id;
        assert_eq!(t.ok(preview(make::reply(&id, "hello"))).await, expected);
    }

    async fn preview_counts_segments(t: Caller) {
        let pair = t.pair().await;
        for (body, encoding, segments) in [
            ("x".repeat(160), "gsm7", 1),
            ("x".repeat(161), "gsm7", 2),
            ("€".repeat(81), "gsm7", 2),
            ("я".repeat(70), "ucs2", 1),
            ("x".repeat(70) + "я", "ucs2", 2),
            ("😀".repeat(36), "ucs2", 2),
        ] {
            let seen = t.ok(preview(sms(&pair, &body))).await;
            assert_eq!((seen.encoding.as_str(), seen.segments), (encoding, segments), "{body}");
            assert_eq!(t.ok(sms(&pair, &body)).await.segments, segments);
        }
        let picture = Send { attachments: vec![file("a.png", "image/png", "data")], ..sms(&pair, "hi") };
        let seen = t.ok(preview(picture)).await;
        assert_eq!((seen.encoding.as_str(), seen.segments, seen.allowed), ("", 0, true), "an MMS");
    }

    async fn preview_of_a_mail(t: Caller) {
        let pair = t.mail_pair().await;
        let uppercase = Pair { ours: pair.ours.replace("example", "EXAMPLE"), theirs: pair.theirs.replace("example", "EXAMPLE") };
        let expected = Preview {
            from_address: pair.ours,
            to_address: pair.theirs,
            allowed: true,
            provider: "simulator".to_owned(),
            ..Default::default()
        };
        assert_eq!(t.ok(preview(mail(&uppercase, "hi"))).await, expected);
    }

    async fn preview_of_a_chat(t: Caller) {
        let expected = Preview { allowed: true, ..Default::default() };
        assert_eq!(t.ok(preview(chat("", "hi"))).await, expected);
        assert_eq!(t.ok(preview(chat("talk", "hi"))).await, expected);
        let id = t.ok(chat("talk", "hi")).await.conversation_id;
        assert_eq!(t.ok(preview(chat("talk", "hi"))).await, expected);
        assert_eq!(t.ok(preview(make::reply(&id, "hi"))).await, expected);
    }

    async fn a_preview_writes_nothing(t: Caller) {
        let mut events = t.watch_from("").await;
        // A send would create a sender for this address.
        let pair = make::phones();
        assert!(t.ok(preview(sms(&pair, "hi"))).await.allowed);
        assert!(t.ok(preview(chat("talk", "hi"))).await.allowed);
        assert_eq!(t.ok(v1::ListSendersRequest::default()).await.senders, []);
        let all = v1::ListConversationsRequest { with_total: true, ..Default::default() };
        assert_eq!(t.ok(all).await.total_size, 0);
        t.other().ok(v1::CreateSenderRequest {
            sender: Some(v1::Sender { channel: v1::Channel::Sms.into(), address: pair.ours, ..Default::default() }),
        }).await;

        let message = t.ok(chat("talk", "1")).await;
        t.ok(set_status(&message.conversation_id, v1::ConversationStatus::Archived)).await;
        let before = t.conversation(&message.conversation_id).await;
        assert!(t.ok(preview(chat("talk", "2"))).await.allowed);
        assert_eq!(t.conversation(&message.conversation_id).await, before, "a send would have activated it");
        let next = t.ok(chat("talk", "2")).await;
        assert_eq!(next.sequence, 2);
        let received = events.until(|e| e.message_id == next.id).await;
        let made = received.iter().filter(|e| e.r#type() == v1::EventType::MessageCreated);
        assert_eq!(made.map(|e| e.message_id.as_str()).collect::<Vec<_>>(), [&message.id, &next.id]);
    }

    async fn a_preview_does_not_use_the_upload(t: Caller) {
        let pair = t.pair().await;
        let upload_id = t.upload(vec![make::first_chunk("a.png", "image/png", "data")]).await.unwrap().upload_id;
        let upload = v1::NewAttachment { upload_id, ..Default::default() };
        let request = Send { attachments: vec![upload], ..sms(&pair, "hi") };
        assert!(t.ok(preview(request.clone())).await.allowed);
        assert!(t.ok(preview(request.clone())).await.allowed);
        t.ok(request.clone()).await;
        not_allowed(&t, request, "UPLOAD_NOT_FOUND").await;
    }

    async fn a_preview_does_not_use_the_request_id(t: Caller) {
        let pair = t.pair().await;
        let request = |body: &str| Send { request_id: "once".to_owned(), ..sms(&pair, body) };
        t.ok(preview(request("1"))).await;
        t.ok(preview(request("2"))).await;
        let (message, replayed) = t.ok_or_replayed(request("3")).await;
        assert!(!replayed);
        let seen = t.ok(preview(request("4"))).await;
        assert!(seen.allowed, "only the request id would make a send fail");
        let (again, replayed) = t.ok_or_replayed(request("3")).await;
        assert!(replayed && again == message);
    }

    async fn preview_in_a_closed_conversation(t: Caller) {
        let pair = t.pair().await;
        let closed = t.ok(sms(&pair, "hi")).await.conversation_id;
        t.ok(set_status(&closed, v1::ConversationStatus::Closed)).await;
        not_allowed(&t, make::reply(&closed, "hi"), "CONVERSATION_CLOSED").await;
        let seen = t.ok(preview(make::reply(&closed, "hi"))).await;
        assert_eq!((seen.from_address, seen.to_address, seen.segments), (pair.ours.clone(), pair.theirs.clone(), 1));
        assert!(t.ok(preview(sms(&pair, "hi"))).await.allowed, "a new conversation would be created");
        let chat_id = t.ok(chat("talk", "hi")).await.conversation_id;
        t.ok(set_status(&chat_id, v1::ConversationStatus::Closed)).await;
        not_allowed(&t, chat("talk", "hi"), "CONVERSATION_CLOSED").await;
    }

    async fn preview_with_a_sender_of_another_owner(t: Caller) {
        let pair = t.other().pair().await;
        not_allowed(&t, sms(&pair, "hi"), "SENDER_OF_ANOTHER").await;
        assert_eq!(t.ok(preview(sms(&pair, "hi"))).await.provider, "", "the provider is not disclosed to another owner");
    }

    /// If two reasons apply, the preview returns the same one as the send.
    async fn preview_in_a_closed_conversation_with_a_foreign_sender(t: Caller) {
        let pair = t.pair().await;
        let closed = t.ok(make::create(&pair)).await.id;
        t.ok(set_status(&closed, v1::ConversationStatus::Closed)).await;
        let sender = t.ok(v1::ListSendersRequest::default()).await.senders.remove(0);
        t.ok(v1::DeleteSenderRequest { id: sender.id }).await;
        let sender = v1::Sender { channel: v1::Channel::Sms.into(), address: pair.ours, ..Default::default() };
        t.other().ok(v1::CreateSenderRequest { sender: Some(sender) }).await;
        not_allowed(&t, make::reply(&closed, "hi"), "SENDER_OF_ANOTHER").await;
    }

    async fn preview_of_a_chat_with_a_taken_external_id(t: Caller) {
        let mut request = make::create(&t.pair().await);
        request.conversation.as_mut().unwrap().external_id = "ticket".to_owned();
        t.ok(request).await;
        not_allowed(&t, chat("ticket", "hi"), "EXTERNAL_ID_TAKEN").await;
    }

    /// As for a send, whether or not the sender could be used.
    async fn invalid_requests_are_rejected(t: Caller) {
        let pair = t.other().pair().await;
        let over = Send { expires_at: Some(at(1_000)), ..sms(&pair, "hi") };
        let refusal = t.refused(preview(over.clone())).await;
        assert_eq!(refusal.code_and_reason(), (Code::InvalidArgument, "INVALID_REQUEST"));
        assert_eq!(refusal, t.refused(over).await);
        let chat_id = t.ok(chat("", "hi")).await.conversation_id;
        let later = Send { send_at: Some(far_future(0)), subject: "s".to_owned(), ..make::reply(&chat_id, "hi") };
        let refusal = t.refused(preview(later.clone())).await;
        assert_eq!(refusal.fields, ["send_at", "subject"]);
        assert_eq!(refusal, t.refused(later).await);
    }
}
