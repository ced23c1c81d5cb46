//! Files, in both directions.

use parlance_proto::v1;
use parlance_tests::make::{self, chat, file, head, piece};
use parlance_tests::{Caller, Refusal};
use tonic::{Code, Status};

use super::{NO_IDS, NOTHING};

#[track_caller]
fn refuses(answer: Result<impl std::fmt::Debug, Status>, fields: &[&str]) {
    let refusal = Refusal::of(&answer.expect_err("it is refused"));
    assert_eq!(refusal.why(), (Code::InvalidArgument, "INVALID_REQUEST"));
    assert_eq!(refusal.fields, fields);
}

on_both! {
    async fn an_upload(t: Caller) {
        refuses(t.upload(vec![]).await, &["data"]);
        refuses(t.upload(vec![head("a", "text/plain", "")]).await, &["data"]);
        refuses(t.upload(vec![head("a", "text/plain", ""), piece(""), piece("")]).await, &["data"]);
        refuses(t.upload(vec![head("a", "", "x")]).await, &["content_type"]);
        refuses(t.upload(vec![head("a", "text", "x")]).await, &["content_type"]);
        refuses(t.upload(vec![head("a\0", "text/", "x")]).await, &["content_type", "filename"]);
        refuses(t.upload(vec![head(&"x".repeat(256), "text/plain", "x")]).await, &["filename"]);
        refuses(t.upload(vec![head("a", "text/plain", "x"), head("b", "", "y")]).await, &["filename"]);
        refuses(t.upload(vec![head("a", "text/plain", "x"), head("b", "text/plain", "y")]).await, &["content_type", "filename"]);
    }

    async fn an_attachments_ids(t: Caller) {
        for id in NO_IDS.into_iter().chain([""]) {
            refuses(t.download(id, NOTHING).await, &["message_id"]);
            refuses(t.download(NOTHING, id).await, &["attachment_id"]);
            refuses(t.download(id, id).await, &["attachment_id", "message_id"]);
        }
    }

    /// Of another message, of another owner, or of none: one answer.
    async fn an_attachment_that_is_not_there(t: Caller) {
        let mut request = chat("", "hi");
        request.attachments = vec![file("a", "text/plain", "content")];
        let message = t.ok(request).await;
        let attachment = &message.attachments[0].id;
        let another = t.ok(chat("", "hi")).await.id;
        let mut answers = vec![
            t.download(&message.id, NOTHING).await,
            t.download(NOTHING, attachment).await,
            t.download(&another, attachment).await,
            t.other().download(&message.id, attachment).await,
        ];
        t.ok(make::delete_message(&message.id)).await;
        answers.push(t.download(&message.id, attachment).await);
        for answer in answers {
            let refusal = Refusal::of(&answer.unwrap_err());
            assert_eq!(refusal.why(), (Code::NotFound, "ATTACHMENT_NOT_FOUND"));
        }
    }

    async fn an_upload_that_is_not_there(t: Caller) {
        let with = |upload_id: &str| {
            let mut request = chat("", "hi");
            request.attachments = vec![
                file("a", "text/plain", "content"),
                v1::NewAttachment { upload_id: upload_id.to_owned(), ..Default::default() },
            ];
            request
        };
        let theirs = t.other().upload(vec![head("a", "text/plain", "x")]).await.unwrap().upload_id;
        for id in [NOTHING, &theirs] {
            let refusal = t.refused(with(id)).await;
            assert_eq!(refusal.why(), (Code::FailedPrecondition, "UPLOAD_NOT_FOUND"));
            assert_eq!(refusal.about("field"), "attachments[1].upload_id");
        }
        let listed = t.ok(v1::ListConversationsRequest { with_total: true, ..Default::default() }).await;
        assert_eq!(listed.total_size, 0, "what was refused has left nothing");
    }
}
