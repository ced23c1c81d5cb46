//! `DeleteMessage`.

use parlance_proto::v1;
use parlance_tests::Caller;
use parlance_tests::make::{self, chat, delete_message, far_future, inbound_sms, sms};
use tonic::Code;

on_both! {
    async fn a_deleted_message_is_not_found_by_any_read(t: Caller) {
        let pair = t.pair().await;
        let message = t.ok(inbound_sms(&pair, "1")).await;
        let second = t.ok(inbound_sms(&pair, "2")).await;
        t.ok(delete_message(&second.id)).await;
        assert_eq!(t.refused(make::get_message(&second.id)).await.code, Code::NotFound);
        let by_provider = v1::GetMessageRequest {
            provider: second.provider,
            provider_message_id: second.provider_message_id,
            ..Default::default()
        };
        assert_eq!(t.refused(by_provider).await.code, Code::NotFound);
        assert_eq!(t.all_messages(&message.conversation_id).await, std::slice::from_ref(&message));
        let conversation = t.conversation(&message.conversation_id).await;
        assert_eq!((conversation.message_count, conversation.unread_count), (1, 1));
        assert_eq!(conversation.last_message_at, message.created_at);
        assert_eq!(conversation.version, 3, "every write increments the version");
        assert_eq!(t.refused(delete_message(&second.id)).await.code, Code::NotFound, "it is already deleted");
    }

    async fn its_sequence_is_not_reused(t: Caller) {
        let first = t.ok(chat("", "1")).await;
        t.ok(delete_message(&first.id)).await;
        let second = t.ok(make::reply(&first.conversation_id, "2")).await;
        assert_eq!(second.sequence, 2);
    }

    async fn the_unread_count_is_updated(t: Caller) {
        let pair = t.pair().await;
        let mut messages = Vec::new();
        for n in 0..4 {
            messages.push(t.ok(inbound_sms(&pair, &n.to_string())).await);
        }
        let id = &messages[0].conversation_id;
        t.ok(v1::MarkAsReadRequest { id: id.clone(), up_to_sequence: 2 }).await;
        let unread = async || t.conversation(id).await.unread_count;
        assert_eq!(unread().await, 2);
        t.ok(delete_message(&messages[0].id)).await;
        assert_eq!(unread().await, 2, "a read one");
        t.ok(delete_message(&messages[3].id)).await;
        assert_eq!(unread().await, 1, "an unread one");
        t.ok(delete_message(&messages[2].id)).await;
        assert_eq!(unread().await, 0);
    }

    async fn deletion_with_a_stale_etag_is_refused(t: Caller) {
        let message = t.ok(chat("", "1")).await;
        let changed = t.ok(make::edit_message(&message.id, &[], |m| m.body = "2".to_owned())).await;
        let stale = v1::DeleteMessageRequest { id: message.id.clone(), etag: message.etag };
        assert_eq!(t.refused(stale).await.code_and_reason(), (Code::Aborted, "ETAG_MISMATCH"));
        assert_eq!(t.message(&message.id).await, changed);
        t.ok(v1::DeleteMessageRequest { id: message.id, etag: changed.etag }).await;
    }

    async fn a_pending_message_is_not_sent(t: Caller) {
        let pair = t.pair().await;
        let pending = t.ok(sms(&pair, "now")).await;
        let scheduled = t.ok(v1::SendMessageRequest { send_at: Some(far_future(0)), ..sms(&pair, "later") }).await;
        t.ok(delete_message(&pending.id)).await;
        t.ok(delete_message(&scheduled.id)).await;
        // A pending message would prevent the deletion of its sender.
        let sender = t.ok(v1::ListSendersRequest::default()).await.senders.remove(0);
        t.ok(v1::DeleteSenderRequest { id: sender.id }).await;
    }
}
