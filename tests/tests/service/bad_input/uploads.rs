//! Uploads and downloads of attachments.

use parlance_proto::v1;
use parlance_tests::make::{self, chat, chunk, file, first_chunk};
use parlance_tests::{Caller, Refusal};
use tonic::{Code, Status};

use super::{INVALID_IDS, UNKNOWN_ID};

#[track_caller]
fn assert_rejected(result: Result<impl std::fmt::Debug, Status>, fields: &[&str]) {
    let refusal = Refusal::of(&result.expect_err("an error"));
    assert_eq!(
        refusal.code_and_reason(),
        (Code::InvalidArgument, "INVALID_REQUEST")
    );
    assert_eq!(refusal.fields, fields);
}

on_both! {
    async fn upload_fields(t: Caller) {
        assert_rejected(t.upload(vec![]).await, &["data"]);
        assert_rejected(t.upload(vec![first_chunk("a", "text/plain", "")]).await, &["data"]);
        assert_rejected(t.upload(vec![first_chunk("a", "text/plain", ""), chunk(""), chunk("")]).await, &["data"]);
        assert_rejected(t.upload(vec![first_chunk("a", "", "x")]).await, &["content_type"]);
        assert_rejected(t.upload(vec![first_chunk("a", "text", "x")]).await, &["content_type"]);
        assert_rejected(t.upload(vec![first_chunk("a\0", "text/", "x")]).await, &["content_type", "filename"]);
        assert_rejected(t.upload(vec![first_chunk(&"x".repeat(256), "text/plain", "x")]).await, &["filename"]);
        assert_rejected(t.upload(vec![first_chunk("a", "text/plain", "x"), first_chunk("b", "", "y")]).await, &["filename"]);
        assert_rejected(t.upload(vec![first_chunk("a", "text/plain", "x"), first_chunk("b", "text/plain", "y")]).await, &["content_type", "filename"]);
    }

    async fn download_ids(t: Caller) {
        for id in INVALID_IDS.into_iter().chain([""]) {
            assert_rejected(t.download(id, UNKNOWN_ID).await, &["message_id"]);
            assert_rejected(t.download(UNKNOWN_ID, id).await, &["attachment_id"]);
            assert_rejected(t.download(id, id).await, &["attachment_id", "message_id"]);
        }
    }

    /// The error is the same for an attachment of another message, of another owner, or of none.
    async fn unknown_attachments_are_not_found(t: Caller) {
        let mut request = chat("", "hi");
        request.attachments = vec![file("a", "text/plain", "content")];
        let message = t.ok(request).await;
        let attachment = &message.attachments[0].id;
        let another = t.ok(chat("", "hi")).await.id;
        let mut results = vec![
            t.download(&message.id, UNKNOWN_ID).await,
            t.download(UNKNOWN_ID, attachment).await,
            t.download(&another, attachment).await,
            t.other().download(&message.id, attachment).await,
        ];
        t.ok(make::delete_message(&message.id)).await;
        results.push(t.download(&message.id, attachment).await);
        for result in results {
            let refusal = Refusal::of(&result.unwrap_err());
            assert_eq!(refusal.code_and_reason(), (Code::NotFound, "ATTACHMENT_NOT_FOUND"));
        }
    }

    async fn unknown_uploads_are_rejected(t: Caller) {
        let with = |upload_id: &str| {
            let mut request = chat("", "hi");
            request.attachments = vec![
                file("a", "text/plain", "content"),
                v1::NewAttachment { upload_id: upload_id.to_owned(), ..Default::default() },
            ];
            request
        };
        let theirs = t.other().upload(vec![first_chunk("a", "text/plain", "x")]).await.unwrap().upload_id;
        for id in [UNKNOWN_ID, &theirs] {
            let refusal = t.refused(with(id)).await;
            assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "UPLOAD_NOT_FOUND"));
            assert_eq!(refusal.metadata("field"), "attachments[1].upload_id");
        }
        let listed = t.ok(v1::ListConversationsRequest { with_total: true, ..Default::default() }).await;
        assert_eq!(listed.total_size, 0, "a rejected send creates no conversation");
    }
}
