//! `UploadAttachment`, `GetAttachment`, and attachments in a request.

use bytes::Bytes;
use parlance_proto::v1::{self, NewAttachment, SendMessageRequest as Send};
use parlance_tests::make::{chat, chunk, file, first_chunk};
use parlance_tests::{Caller, Refusal};
use tonic::Code;

const MIB: usize = 1024 * 1024;

/// Bytes in which no two chunks are alike.
fn content(length: usize) -> Bytes {
    (0..length)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 16).to_le_bytes()[0])
        .collect::<Vec<u8>>()
        .into()
}

fn with(attachments: Vec<NewAttachment>) -> Send {
    Send {
        attachments,
        ..chat("", "")
    }
}

fn uploaded(upload_id: &str) -> NewAttachment {
    NewAttachment {
        upload_id: upload_id.to_owned(),
        ..Default::default()
    }
}

on_both! {
    async fn attachments_are_downloaded_as_sent(t: Caller) {
        let lengths = [1, 255, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, MIB];
        let files = lengths.map(|length| file(&format!("{length}.bin"), "application/octet-stream", content(length)));
        let message = t.ok(with(files.to_vec())).await;
        assert_eq!(message.attachments.len(), lengths.len());
        for (attachment, length) in message.attachments.iter().zip(lengths) {
            let expected = v1::Attachment {
                id: attachment.id.clone(),
                filename: format!("{length}.bin"),
                content_type: "application/octet-stream".to_owned(),
                size_bytes: i64::try_from(length).unwrap(),
                url: String::new(),
            };
            assert_eq!(*attachment, expected);
            assert!(t.download(&message.id, &attachment.id).await.unwrap() == content(length), "{length} bytes");
        }
        assert_eq!(t.message(&message.id).await, message);
    }

    async fn a_url_is_not_downloaded(t: Caller) {
        let url = "https://example.com/a.png".to_owned();
        let attachment = NewAttachment { content_type: "image/png".to_owned(), url: url.clone(), ..Default::default() };
        let message = t.ok(with(vec![attachment])).await;
        let attachment = &message.attachments[0];
        assert_eq!((&attachment.url, attachment.size_bytes), (&url, 0));
        let refusal = Refusal::of(&t.download(&message.id, &attachment.id).await.unwrap_err());
        assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "ATTACHMENT_ELSEWHERE"));
        assert_eq!(refusal.metadata("url"), url);
    }

    async fn an_upload_can_be_sent_once(t: Caller) {
        let whole = content(700_001);
        let chunks = [whole.slice(..1), whole.slice(1..1), whole.slice(1..300_000), whole.slice(300_000..)];
        let mut stream = vec![first_chunk("film.mp4", "video/mp4", chunks[0].clone())];
        stream.extend(chunks[1..].iter().map(|data| chunk(data.clone())));
        let upload = t.upload(stream).await.unwrap();
        assert_eq!(upload.size_bytes, 700_001);
        let message = t.ok(with(vec![uploaded(&upload.upload_id)])).await;
        let lifetime = upload.expires_at.unwrap().seconds - message.created_at.unwrap().seconds;
        assert!((86_300..=86_400).contains(&lifetime), "24 hours, not {lifetime} s");
        let attachment = &message.attachments[0];
        assert_eq!((attachment.filename.as_str(), attachment.content_type.as_str()), ("film.mp4", "video/mp4"));
        assert_eq!(attachment.size_bytes, 700_001);
        assert!(t.download(&message.id, &attachment.id).await.unwrap() == whole);

        let refusal = t.refused(with(vec![uploaded(&upload.upload_id)])).await;
        assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "UPLOAD_NOT_FOUND"));
    }

    async fn an_upload_cannot_be_attached_twice(t: Caller) {
        let upload = t.upload(vec![first_chunk("a", "text/plain", "x")]).await.unwrap().upload_id;
        let refusal = t.refused(with(vec![uploaded(&upload), uploaded(&upload)])).await;
        assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "UPLOAD_NOT_FOUND"));
        t.ok(with(vec![uploaded(&upload)])).await;
    }

    async fn a_send_may_rename_an_upload(t: Caller) {
        let upload = t.upload(vec![first_chunk("a", "text/plain", "x")]).await.unwrap().upload_id;
        let renamed = NewAttachment {
            filename: "b.txt".to_owned(),
            content_type: "text/markdown".to_owned(),
            ..uploaded(&upload)
        };
        let attachment = t.ok(with(vec![renamed])).await.attachments.remove(0);
        assert_eq!((attachment.filename.as_str(), attachment.content_type.as_str()), ("b.txt", "text/markdown"));
    }

    async fn a_refused_send_keeps_the_upload(t: Caller) {
        let upload = t.upload(vec![first_chunk("", "text/plain", "x")]).await.unwrap().upload_id;
        let mut request = with(vec![uploaded(&upload), uploaded("0190f5fe-7c00-7a00-b000-000000000000")]);
        assert_eq!(t.refused(request.clone()).await.reason, "UPLOAD_NOT_FOUND");
        request.attachments.truncate(1);
        t.ok(request).await;
    }

    async fn an_upload_is_limited_to_25_mib(t: Caller) {
        let mebibyte = content(MIB);
        let mut chunks = vec![first_chunk("large.bin", "application/octet-stream", mebibyte.clone())];
        chunks.extend((1..25).map(|_| chunk(mebibyte.clone())));
        let upload = t.upload(chunks.clone()).await.unwrap();
        assert_eq!(upload.size_bytes, 26_214_400);
        let message = t.ok(with(vec![uploaded(&upload.upload_id)])).await;
        let read = t.download(&message.id, &message.attachments[0].id).await.unwrap();
        assert_eq!(read.len(), 26_214_400);
        assert!(read.chunks(MIB).all(|chunk| chunk == mebibyte));

        chunks.push(chunk("x"));
        let refusal = Refusal::of(&t.upload(chunks).await.unwrap_err());
        assert_eq!(refusal.code_and_reason(), (Code::InvalidArgument, "INVALID_REQUEST"));
        assert_eq!(refusal.fields, ["data"]);
    }

    async fn a_message_has_at_most_ten_attachments(t: Caller) {
        let files = |count| vec![file("a", "text/plain", "x"); count];
        let message = t.ok(with(files(10))).await;
        let mut ids: Vec<_> = message.attachments.iter().map(|a| a.id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 10);
        assert_eq!(t.refused(with(files(11))).await.fields, ["attachments"]);
    }
}
