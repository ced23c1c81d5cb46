//! `UpdateConversation`.

use parlance_proto::v1::{self, ConversationStatus};
use parlance_tests::Caller;
use parlance_tests::make::{self, create, create_chat, edit, json, set_status, sms};
use tonic::Code;

on_both! {
    async fn only_fields_in_the_mask_change(t: Caller) {
        let made = t.ok(create(&t.pair().await)).await;
        let changed = t.ok(edit(&made.id, &["title", "external_id"], |c| {
            c.title = "Title".to_owned();
            c.external_id = "ticket".to_owned();
            c.user = "not named".to_owned();
            c.metadata = Some(json("not", "named"));
        })).await;
        let expected = v1::Conversation {
            title: "Title".to_owned(),
            external_id: "ticket".to_owned(),
            version: 2,
            etag: changed.etag.clone(),
            updated_at: changed.updated_at,
            ..made.clone()
        };
        assert_eq!(changed, expected);
        assert_ne!(changed.etag, made.etag);
        assert_eq!(t.conversation(&made.id).await, changed);
        let by_external_id = v1::GetConversationRequest { external_id: "ticket".to_owned(), ..Default::default() };
        assert_eq!(t.ok(by_external_id.clone()).await, changed);

        let cleared = t.ok(edit(&made.id, &["title", "external_id", "metadata", "user"], |_| ())).await;
        assert_eq!((cleared.title.as_str(), cleared.external_id.as_str(), cleared.metadata), ("", "", None));
        assert_eq!(t.refused(by_external_id).await.code, Code::NotFound);
        t.ok(create_chat("ticket")).await;
    }

    async fn without_a_mask_fields_that_are_set_change(t: Caller) {
        let made = t.ok(create(&t.pair().await)).await;
        t.ok(edit(&made.id, &[], |c| { c.title = "Title".to_owned(); c.user = "ana".to_owned(); })).await;
        let changed = t.ok(edit(&made.id, &[], |c| c.metadata = Some(json("a", "b")))).await;
        assert_eq!((changed.title.as_str(), changed.user.as_str()), ("Title", "ana"));
        let replaced = t.ok(edit(&made.id, &[], |c| c.metadata = Some(json("c", "d")))).await;
        assert_eq!(replaced.metadata, Some(json("c", "d")), "as a whole");
        assert_eq!(replaced.version, 4);
    }

    async fn an_edit_without_changes_keeps_the_version(t: Caller) {
        let made = t.ok(create_chat("")).await;
        assert_eq!(t.ok(edit(&made.id, &[], |_| ())).await, made);
        assert_eq!(t.ok(edit(&made.id, &["title", "external_id"], |_| ())).await, made);
        assert_eq!(t.ok(set_status(&made.id, ConversationStatus::Active)).await, made);
    }

    async fn closed_is_final(t: Caller) {
        let id = t.ok(create(&t.pair().await)).await.id;
        t.ok(set_status(&id, ConversationStatus::Archived)).await;
        t.ok(set_status(&id, ConversationStatus::Active)).await;
        let closed = t.ok(set_status(&id, ConversationStatus::Closed)).await;
        for status in [ConversationStatus::Active, ConversationStatus::Archived] {
            let refusal = t.refused(set_status(&id, status)).await;
            assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "ILLEGAL_STATUS"));
            assert_eq!(refusal.metadata("conversation_id"), id);
        }
        assert_eq!(t.ok(set_status(&id, ConversationStatus::Closed)).await, closed);
        let titled = t.ok(edit(&id, &[], |c| c.title = "over".to_owned())).await;
        assert_eq!((titled.status(), titled.title.as_str()), (ConversationStatus::Closed, "over"));
    }

    async fn a_taken_external_id_is_refused(t: Caller) {
        let taken = t.ok(create_chat("taken")).await;
        let other = t.ok(create_chat("other")).await;
        let refusal = t.refused(edit(&other.id, &[], |c| c.external_id = "taken".to_owned())).await;
        assert_eq!(refusal.code_and_reason(), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));
        assert_eq!(refusal.metadata("conversation_id"), taken.id);
        assert_eq!(t.conversation(&other.id).await, other);
    }

    async fn an_edit_with_a_stale_etag_is_refused(t: Caller) {
        let made = t.ok(create_chat("")).await;
        let titled = |etag: &str, title: &str| edit(&made.id, &["title"], |c| {
            c.etag = etag.to_owned();
            c.title = title.to_owned();
        });
        let changed = t.ok(titled(&made.etag, "1")).await;
        assert_eq!(t.refused(titled(&made.etag, "2")).await.code_and_reason(), (Code::Aborted, "ETAG_MISMATCH"));
        assert_eq!(t.conversation(&made.id).await, changed);
        t.ok(titled(&changed.etag, "2")).await;
        t.ok(titled("", "3")).await;
    }

    /// Messages, receipts and read cursors do not change the etag; only an edit conflicts with an edit.
    async fn messages_and_receipts_do_not_change_the_etag(t: Caller) {
        let pair = t.pair().await;
        let opened = t.ok(create(&pair)).await;
        let message = t.ok(sms(&pair, "hi")).await;
        t.ok(make::inbound_sms(&pair, "hi")).await;
        t.ok(make::report(&message.id, v1::MessageStatus::Read)).await;
        t.ok(v1::MarkAsReadRequest { id: opened.id.clone(), up_to_sequence: 0 }).await;
        t.ok(v1::MarkAsUnreadRequest { id: opened.id.clone() }).await;
        t.ok(make::delete_message(&message.id)).await;
        let now = t.conversation(&opened.id).await;
        assert_eq!((&now.etag, now.version), (&opened.etag, 6));
        t.ok(edit(&opened.id, &[], |c| { c.etag = opened.etag.clone(); c.title = "t".to_owned(); })).await;
    }

    async fn one_of_concurrent_edits_with_the_same_etag_succeeds(t: Caller) {
        let made = t.ok(create_chat("")).await;
        let edits = (0..12).map(|n| {
            t.call_retrying(edit(&made.id, &["title"], |c| { c.etag = made.etag.clone(); c.title = n.to_string(); }))
        });
        let answers = futures_util::future::join_all(edits).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        for status in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(parlance_tests::Refusal::of(status).code_and_reason(), (Code::Aborted, "ETAG_MISMATCH"));
        }
        assert_eq!(t.conversation(&made.id).await.version, 2);
    }
}
