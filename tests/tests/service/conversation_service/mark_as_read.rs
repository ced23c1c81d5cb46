//! `MarkAsRead` and `MarkAsUnread`.

use parlance_proto::v1;
use parlance_tests::Caller;
use parlance_tests::make::{self, inbound_sms, sms};

async fn read(t: &Caller, id: &str, up_to_sequence: i64) -> v1::Conversation {
    t.ok(v1::MarkAsReadRequest {
        id: id.to_owned(),
        up_to_sequence,
    })
    .await
}

async fn unread(t: &Caller, id: &str) -> v1::Conversation {
    t.ok(v1::MarkAsUnreadRequest { id: id.to_owned() }).await
}

/// Inbound, outbound, inbound, inbound: three unread messages.
async fn conversation_with_three_unread(t: &Caller) -> String {
    let pair = t.pair().await;
    t.ok(inbound_sms(&pair, "1")).await;
    t.ok(sms(&pair, "2")).await;
    t.ok(inbound_sms(&pair, "3")).await;
    t.ok(inbound_sms(&pair, "4")).await.conversation_id
}

on_both! {
    async fn the_read_cursor_moves_forward(t: Caller) {
        let id = conversation_with_three_unread(&t).await;
        let before = t.conversation(&id).await;
        assert_eq!((before.unread_count, before.version), (3, 4));
        let mut seen = Vec::new();
        for up_to in [1, 2, 3, 1, 0] {
            let after = read(&t, &id, up_to).await;
            assert_eq!(after, t.conversation(&id).await);
            assert_eq!(after.etag, before.etag);
            seen.push((after.unread_count, after.version));
        }
        assert_eq!(seen, [(2, 5), (2, 6), (1, 7), (1, 7), (0, 8)]);
        assert_eq!(read(&t, &id, 0).await.version, 8, "the cursor is at the end");
    }

    async fn the_read_cursor_does_not_pass_the_end(t: Caller) {
        let pair = t.pair().await;
        let id = t.ok(inbound_sms(&pair, "1")).await.conversation_id;
        assert_eq!(read(&t, &id, i64::MAX).await.unread_count, 0);
        t.ok(inbound_sms(&pair, "2")).await;
        assert_eq!(t.conversation(&id).await.unread_count, 1, "a later message is unread");
    }

    async fn mark_as_unread_moves_the_cursor_before_the_last_inbound_message(t: Caller) {
        let id = conversation_with_three_unread(&t).await;
        read(&t, &id, 0).await;
        let again = unread(&t, &id).await;
        assert_eq!(again.unread_count, 1);
        assert_eq!(again, t.conversation(&id).await);
        assert_eq!(unread(&t, &id).await, again, "the cursor has not moved");
        t.ok(make::reply(&id, "5")).await;
        read(&t, &id, 0).await;
        assert_eq!(unread(&t, &id).await.unread_count, 1, "outbound messages do not count");
        assert_eq!(read(&t, &id, 4).await.unread_count, 0);
    }

    async fn mark_as_unread_never_reduces_the_unread_count(t: Caller) {
        let id = conversation_with_three_unread(&t).await;
        read(&t, &id, 1).await;
        assert_eq!(unread(&t, &id).await.unread_count, 2);
    }

    async fn a_conversation_without_inbound_messages_has_nothing_unread(t: Caller) {
        let id = t.ok(make::create_chat("")).await.id;
        assert_eq!(unread(&t, &id).await.unread_count, 0);
        assert_eq!(read(&t, &id, 0).await.version, 1);
        let sent = t.ok(sms(&t.pair().await, "hi")).await.conversation_id;
        assert_eq!(unread(&t, &sent).await.unread_count, 0);
    }

    /// `read_at` is the recipient's read receipt, and unrelated.
    async fn marking_changes_no_message(t: Caller) {
        let id = conversation_with_three_unread(&t).await;
        let before = t.all_messages(&id).await;
        read(&t, &id, 0).await;
        unread(&t, &id).await;
        assert_eq!(t.all_messages(&id).await, before);
    }

    async fn a_chat_can_be_marked_as_well(t: Caller) {
        let id = t.ok(make::chat("", "hi")).await.conversation_id;
        assert_eq!(unread(&t, &id).await.unread_count, 1);
        assert_eq!(read(&t, &id, 0).await.unread_count, 0);
    }
}
