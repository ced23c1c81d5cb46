//! Unknown, deleted and foreign records give the same error; the owner header is validated.

use parlance_proto::v1;
use parlance_tests::make::{self, chat, edit, edit_message, inbound_sms, phone};
use parlance_tests::{Caller, Refusal, Rpc};
use tonic::Code;

use super::UNKNOWN_ID;

/// Asserts that the errors for the three ids are the same, except for the id itself.
async fn assert_same_not_found<R: Rpc>(
    t: &Caller,
    reason: &str,
    ids: &[String; 3],
    request: impl Fn(&str) -> R,
) {
    let mut refusals = Vec::new();
    for id in ids {
        let mut refusal = t.refused(request(id)).await;
        assert_eq!(refusal.code_and_reason(), (Code::NotFound, reason));
        assert!(!refusal.text.contains(id.as_str()), "{refusal:?}");
        for value in refusal.metadata.values_mut() {
            assert_eq!(value, id);
            value.clear();
        }
        refusals.push(refusal);
    }
    assert_eq!(refusals[0], refusals[1]);
    assert_eq!(refusals[0], refusals[2]);
}

on_both! {
    async fn unknown_messages_are_not_found(t: Caller) {
        let deleted = t.ok(chat("", "hi")).await.id;
        t.ok(make::delete_message(&deleted)).await;
        let foreign = t.other().ok(chat("", "hi")).await.id;
        let ids = [UNKNOWN_ID.to_owned(), deleted, foreign.clone()];
        let reason = "MESSAGE_NOT_FOUND";
        assert_same_not_found(&t, reason, &ids, make::get_message).await;
        assert_same_not_found(&t, reason, &ids, make::delete_message).await;
        assert_same_not_found(&t, reason, &ids, |id| edit_message(id, &[], |m| m.metadata = Some(make::json("a", "b")))).await;
        assert_same_not_found(&t, reason, &ids, |id| make::report(id, v1::MessageStatus::Read)).await;
        assert_same_not_found(&t, reason, &ids, make::cancel).await;
        assert_same_not_found(&t, reason, &ids, make::list_message_events).await;
        let batch = t.ok(v1::BatchGetMessagesRequest { ids: ids.to_vec() }).await;
        assert_eq!((batch.messages.len(), batch.missing_ids), (0, ids.to_vec()));
        assert_eq!(t.other().message(&foreign).await.status(), v1::MessageStatus::Delivered, "the foreign message is unchanged");
    }

    async fn unknown_provider_message_ids_are_not_found(t: Caller) {
        let message = t.other().ok(inbound_sms(&t.other().pair().await, "hi")).await;
        let by = |provider: &str, provider_message_id: &str| v1::GetMessageRequest {
            provider: provider.to_owned(),
            provider_message_id: provider_message_id.to_owned(),
            ..Default::default()
        };
        let foreign = t.refused(by("simulator", &message.provider_message_id)).await;
        assert_eq!(foreign, t.refused(by("simulator", "nothing")).await);
        assert_eq!(foreign.code_and_reason(), (Code::NotFound, "MESSAGE_NOT_FOUND"));
        let report = v1::UpdateMessageStatusRequest {
            provider: "simulator".to_owned(),
            provider_message_id: message.provider_message_id,
            status: v1::MessageStatus::Sent.into(),
            ..Default::default()
        };
        assert_eq!(t.refused(report).await.code_and_reason(), (Code::NotFound, "MESSAGE_NOT_FOUND"));
    }

    async fn unknown_conversations_are_not_found(t: Caller) {
        let deleted = t.ok(chat("", "hi")).await.conversation_id;
        t.ok(make::delete_conversation(&deleted)).await;
        let foreign = t.other().ok(chat("theirs", "hi")).await.conversation_id;
        let ids = [UNKNOWN_ID.to_owned(), deleted, foreign.clone()];
        let reason = "CONVERSATION_NOT_FOUND";
        assert_same_not_found(&t, reason, &ids, make::get_conversation).await;
        assert_same_not_found(&t, reason, &ids, make::delete_conversation).await;
        assert_same_not_found(&t, reason, &ids, make::list).await;
        assert_same_not_found(&t, reason, &ids, |id| v1::ListMessagesRequest { with_total: true, ..make::list(id) }).await;
        assert_same_not_found(&t, reason, &ids, |id| edit(id, &[], |c| c.title = "t".to_owned())).await;
        assert_same_not_found(&t, reason, &ids, |id| v1::MarkAsReadRequest { id: id.to_owned(), up_to_sequence: 1 }).await;
        assert_same_not_found(&t, reason, &ids, |id| v1::MarkAsUnreadRequest { id: id.to_owned() }).await;
        assert_same_not_found(&t, reason, &ids, |id| make::reply(id, "hi")).await;
        assert_same_not_found(&t, reason, &ids, |id| make::preview(make::reply(id, "hi"))).await;
        assert_same_not_found(&t, reason, &ids, |id| v1::ReceiveMessageRequest {
            conversation_id: id.to_owned(),
            provider: "simulator".to_owned(),
            provider_message_id: make::unique("in"),
            ..Default::default()
        }).await;
        let by_name = v1::GetConversationRequest { external_id: "theirs".to_owned(), ..Default::default() };
        assert_eq!(t.refused(by_name).await.code_and_reason(), (Code::NotFound, reason));
        assert_eq!(t.other().conversation(&foreign).await.message_count, 1, "the foreign conversation is unchanged");
    }

    async fn unknown_senders_are_not_found(t: Caller) {
        let create = |t: &Caller| {
            let t = t.clone();
            async move {
                let sender = v1::Sender { channel: v1::Channel::Sms.into(), address: phone(), ..Default::default() };
                t.ok(v1::CreateSenderRequest { sender: Some(sender) }).await.id
            }
        };
        let deleted = create(&t).await;
        t.ok(v1::DeleteSenderRequest { id: deleted.clone() }).await;
        let ids = [UNKNOWN_ID.to_owned(), deleted, create(&t.other()).await];
        let reason = "SENDER_NOT_FOUND";
        assert_same_not_found(&t, reason, &ids, |id| v1::GetSenderRequest { id: id.to_owned() }).await;
        assert_same_not_found(&t, reason, &ids, |id| v1::DeleteSenderRequest { id: id.to_owned() }).await;
        assert_same_not_found(&t, reason, &ids, |id| v1::UpdateSenderRequest {
            sender: Some(v1::Sender { id: id.to_owned(), segments_per_second: 7, ..Default::default() }),
            update_mask: None,
        }).await;
    }

    /// The id of one type of record finds no record of another type.
    async fn ids_of_another_type_are_not_found(t: Caller) {
        let message = t.ok(chat("", "hi")).await;
        let refusal = t.refused(make::get_message(&message.conversation_id)).await;
        assert_eq!(refusal.code_and_reason(), (Code::NotFound, "MESSAGE_NOT_FOUND"));
        let refusal = t.refused(make::get_conversation(&message.id)).await;
        assert_eq!(refusal.code_and_reason(), (Code::NotFound, "CONVERSATION_NOT_FOUND"));
    }

    async fn invalid_owner_headers_are_rejected(t: Caller) {
        use tonic::metadata::{AsciiMetadataValue, MetadataValue};
        let longest = "x".repeat(128);
        let list = |owners: Vec<AsciiMetadataValue>| {
            // Without the interceptor, which would add the caller's own owner.
            let mut client = v1::conversation_service_client::ConversationServiceClient::new(t.channel());
            let mut request = tonic::Request::new(v1::ListConversationsRequest::default());
            for owner in owners {
                request.metadata_mut().append("x-parlance-owner", owner);
            }
            async move { client.list_conversations(request).await }
        };
        let header = |name: &str| vec![AsciiMetadataValue::try_from(name.as_bytes()).unwrap()];
        list(vec![]).await.expect("a missing owner is `default`");
        for good in ["default", "a", "acme/eu-1", &longest] {
            list(header(good)).await.expect(good);
        }
        let two = vec![MetadataValue::from_static("a"), MetadataValue::from_static("b")];
        let bad = [header(""), header("a b"), header(&format!("{longest}x")), header("\u{fc}"), two];
        for owners in bad {
            let refusal = Refusal::of(&list(owners.clone()).await.expect_err("an error"));
            assert_eq!(refusal.code_and_reason(), (Code::InvalidArgument, "INVALID_REQUEST"), "{owners:?}");
            assert_eq!(refusal.fields, ["x-parlance-owner"]);
        }
    }
}
