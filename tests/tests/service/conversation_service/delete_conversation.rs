//! `DeleteConversation`.

use parlance_proto::v1;
use parlance_tests::Caller;
use parlance_tests::make::{self, chat, create, delete_conversation, edit, file, inbound_sms, sms};
use tonic::Code;

on_both! {
    async fn messages_and_attachments_are_deleted_with_their_conversation(t: Caller) {
        let pair = t.pair().await;
        let first = t.ok(inbound_sms(&pair, "1")).await;
        let second = t.ok(v1::SendMessageRequest { attachments: vec![file("a", "text/plain", "x")], ..sms(&pair, "2") }).await;
        let id = first.conversation_id.clone();
        t.ok(delete_conversation(&id)).await;
        assert_eq!(t.refused(make::get_conversation(&id)).await.code, Code::NotFound);
        assert_eq!(t.refused(make::list(&id)).await.code, Code::NotFound);
        assert_eq!(t.refused(make::reply(&id, "3")).await.code, Code::NotFound);
        for message in [&first, &second] {
            assert_eq!(t.refused(make::get_message(&message.id)).await.code, Code::NotFound);
        }
        let by_provider = v1::GetMessageRequest {
            provider: first.provider.clone(),
            provider_message_id: first.provider_message_id.clone(),
            ..Default::default()
        };
        assert_eq!(t.refused(by_provider).await.code, Code::NotFound);
        assert!(t.download(&second.id, &second.attachments[0].id).await.is_err());
        let all = t.ok(v1::ListConversationsRequest { with_total: true, ..Default::default() }).await;
        assert_eq!(all.total_size, 0);
        assert_eq!(t.refused(delete_conversation(&id)).await.code, Code::NotFound, "it is already deleted");

        let sender = t.ok(v1::ListSendersRequest::default()).await.senders.remove(0);
        t.ok(v1::DeleteSenderRequest { id: sender.id }).await;
    }

    async fn addresses_are_free_after_deletion(t: Caller) {
        let pair = t.pair().await;
        let first = t.ok(create(&pair)).await;
        t.ok(delete_conversation(&first.id)).await;
        let second = t.ok(sms(&pair, "hi")).await;
        assert_ne!(second.conversation_id, first.id);
        assert_eq!(second.sequence, 1);
    }

    async fn deletion_of_more_than_one_batch(t: Caller) {
        let name = make::unique("talk");
        let opened = t.ok(chat(&name, "0")).await;
        let sends = (1..=1_020).map(|n| {
            let (t, name) = (t.clone(), name.clone());
            async move { t.ok(chat(&name, &n.to_string())).await }
        });
        let mut last = opened.clone();
        let mut sends = futures_util::stream::iter(sends);
        while let Some(message) = futures_util::StreamExt::next(&mut sends).await {
            last = message.await;
        }
        assert_eq!(last.sequence, 1_021);
        t.ok(delete_conversation(&opened.conversation_id)).await;
        for id in [&opened.id, &last.id] {
            assert_eq!(t.refused(make::get_message(id)).await.code, Code::NotFound);
        }
        assert_eq!(t.ok(chat(&name, "anew")).await.sequence, 1);
    }

    async fn deletion_with_a_stale_etag_is_refused(t: Caller) {
        let made = t.ok(make::create_chat("")).await;
        let changed = t.ok(edit(&made.id, &[], |c| c.title = "t".to_owned())).await;
        let stale = v1::DeleteConversationRequest { id: made.id.clone(), etag: made.etag };
        assert_eq!(t.refused(stale).await.code_and_reason(), (Code::Aborted, "ETAG_MISMATCH"));
        assert_eq!(t.conversation(&made.id).await, changed);
        t.ok(v1::DeleteConversationRequest { id: made.id, etag: changed.etag }).await;
    }
}
