//! What is unknown, deleted or another owner's gives one answer; and who asks has to be said well.

use parlance_proto::v1;
use parlance_tests::make::{self, chat, edit, edit_message, from_them, phone};
use parlance_tests::{Caller, Refusal, Rpc};
use tonic::Code;

use super::NOTHING;

/// The three answers to three ids are one, but for the id itself.
async fn one_answer<R: Rpc>(
    t: &Caller,
    reason: &str,
    ids: &[String; 3],
    request: impl Fn(&str) -> R,
) {
    let mut answers = Vec::new();
    for id in ids {
        let mut refusal = t.refused(request(id)).await;
        assert_eq!(refusal.why(), (Code::NotFound, reason));
        assert!(!refusal.text.contains(id.as_str()), "{refusal:?}");
        for value in refusal.about.values_mut() {
            assert_eq!(value, id);
            value.clear();
        }
        answers.push(refusal);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
}

on_both! {
    async fn a_message_that_is_not_there(t: Caller) {
        let deleted = t.ok(chat("", "hi")).await.id;
        t.ok(make::delete_message(&deleted)).await;
        let foreign = t.other().ok(chat("", "hi")).await.id;
        let ids = [NOTHING.to_owned(), deleted, foreign.clone()];
        let reason = "MESSAGE_NOT_FOUND";
        one_answer(&t, reason, &ids, make::get_message).await;
        one_answer(&t, reason, &ids, make::delete_message).await;
        one_answer(&t, reason, &ids, |id| edit_message(id, &[], |m| m.metadata = Some(make::json("a", "b")))).await;
        one_answer(&t, reason, &ids, |id| make::report(id, v1::MessageStatus::Read)).await;
        one_answer(&t, reason, &ids, make::cancel).await;
        one_answer(&t, reason, &ids, make::story).await;
        let batch = t.ok(v1::BatchGetMessagesRequest { ids: ids.to_vec() }).await;
        assert_eq!((batch.messages.len(), batch.missing_ids), (0, ids.to_vec()));
        assert_eq!(t.other().message(&foreign).await.status(), v1::MessageStatus::Delivered, "nothing has happened to it");
    }

    async fn a_providers_message_that_is_not_there(t: Caller) {
        let message = t.other().ok(from_them(&t.other().pair().await, "hi")).await;
        let by = |provider: &str, provider_message_id: &str| v1::GetMessageRequest {
            provider: provider.to_owned(),
            provider_message_id: provider_message_id.to_owned(),
            ..Default::default()
        };
        let foreign = t.refused(by("simulator", &message.provider_message_id)).await;
        assert_eq!(foreign, t.refused(by("simulator", "nothing")).await);
        assert_eq!(foreign.why(), (Code::NotFound, "MESSAGE_NOT_FOUND"));
        let report = v1::UpdateMessageStatusRequest {
            provider: "simulator".to_owned(),
            provider_message_id: message.provider_message_id,
            status: v1::MessageStatus::Sent.into(),
            ..Default::default()
        };
        assert_eq!(t.refused(report).await.why(), (Code::NotFound, "MESSAGE_NOT_FOUND"));
    }

    async fn a_conversation_that_is_not_there(t: Caller) {
        let deleted = t.ok(chat("", "hi")).await.conversation_id;
        t.ok(make::delete_conversation(&deleted)).await;
        let foreign = t.other().ok(chat("theirs", "hi")).await.conversation_id;
        let ids = [NOTHING.to_owned(), deleted, foreign.clone()];
        let reason = "CONVERSATION_NOT_FOUND";
        one_answer(&t, reason, &ids, make::get_conversation).await;
        one_answer(&t, reason, &ids, make::delete_conversation).await;
        one_answer(&t, reason, &ids, make::list).await;
        one_answer(&t, reason, &ids, |id| v1::ListMessagesRequest { with_total: true, ..make::list(id) }).await;
        one_answer(&t, reason, &ids, |id| edit(id, &[], |c| c.title = "t".to_owned())).await;
        one_answer(&t, reason, &ids, |id| v1::MarkAsReadRequest { id: id.to_owned(), up_to_sequence: 1 }).await;
        one_answer(&t, reason, &ids, |id| v1::MarkAsUnreadRequest { id: id.to_owned() }).await;
        one_answer(&t, reason, &ids, |id| make::reply(id, "hi")).await;
        one_answer(&t, reason, &ids, |id| make::preview(make::reply(id, "hi"))).await;
        one_answer(&t, reason, &ids, |id| v1::ReceiveMessageRequest {
            conversation_id: id.to_owned(),
            provider: "simulator".to_owned(),
            provider_message_id: make::unique("in"),
            ..Default::default()
        }).await;
        let by_name = v1::GetConversationRequest { external_id: "theirs".to_owned(), ..Default::default() };
        assert_eq!(t.refused(by_name).await.why(), (Code::NotFound, reason));
        assert_eq!(t.other().conversation(&foreign).await.message_count, 1, "nothing has happened to it");
    }

    async fn a_sender_that_is_not_there(t: Caller) {
        let create = |t: &Caller| {
            let t = t.clone();
            async move {
                let sender = v1::Sender { channel: v1::Channel::Sms.into(), address: phone(), ..Default::default() };
                t.ok(v1::CreateSenderRequest { sender: Some(sender) }).await.id
            }
        };
        let deleted = create(&t).await;
        t.ok(v1::DeleteSenderRequest { id: deleted.clone() }).await;
        let ids = [NOTHING.to_owned(), deleted, create(&t.other()).await];
        let reason = "SENDER_NOT_FOUND";
        one_answer(&t, reason, &ids, |id| v1::GetSenderRequest { id: id.to_owned() }).await;
        one_answer(&t, reason, &ids, |id| v1::DeleteSenderRequest { id: id.to_owned() }).await;
        one_answer(&t, reason, &ids, |id| v1::UpdateSenderRequest {
            sender: Some(v1::Sender { id: id.to_owned(), segments_per_second: 7, ..Default::default() }),
            update_mask: None,
        }).await;
    }

    /// An id of one kind is not an id of another.
    async fn ids_are_of_their_kind(t: Caller) {
        let message = t.ok(chat("", "hi")).await;
        let wrong = t.refused(make::get_message(&message.conversation_id)).await;
        assert_eq!(wrong.why(), (Code::NotFound, "MESSAGE_NOT_FOUND"));
        let wrong = t.refused(make::get_conversation(&message.id)).await;
        assert_eq!(wrong.why(), (Code::NotFound, "CONVERSATION_NOT_FOUND"));
    }

    async fn an_owner_has_a_good_name(t: Caller) {
        use tonic::metadata::{AsciiMetadataValue, MetadataValue};
        let longest = "x".repeat(128);
        let ask = |owners: Vec<AsciiMetadataValue>| {
            // Without the caller's own name, which an interceptor would add.
            let mut client = v1::conversation_service_client::ConversationServiceClient::new(t.channel());
            let mut request = tonic::Request::new(v1::ListConversationsRequest::default());
            for owner in owners {
                request.metadata_mut().append("x-parlance-owner", owner);
            }
            async move { client.list_conversations(request).await }
        };
        let named = |name: &str| vec![AsciiMetadataValue::try_from(name.as_bytes()).unwrap()];
        ask(vec![]).await.expect("no name is `default`");
        for good in ["default", "a", "acme/eu-1", &longest] {
            ask(named(good)).await.expect(good);
        }
        let two = vec![MetadataValue::from_static("a"), MetadataValue::from_static("b")];
        let bad = [named(""), named("a b"), named(&format!("{longest}x")), named("\u{fc}"), two];
        for owners in bad {
            let refusal = Refusal::of(&ask(owners.clone()).await.expect_err("it is refused"));
            assert_eq!(refusal.why(), (Code::InvalidArgument, "INVALID_REQUEST"), "{owners:?}");
            assert_eq!(refusal.fields, ["x-parlance-owner"]);
        }
    }
}
