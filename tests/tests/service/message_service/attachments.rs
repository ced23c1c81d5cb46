//! `UploadAttachment`, `GetAttachment`, and attachments in a request.

use bytes::Bytes;
use parlance_proto::v1::{self, NewAttachment, SendMessageRequest as Send};
use parlance_tests::make::{chat, file, head, piece};
use parlance_tests::{Caller, Refusal};
use tonic::Code;

const MIB: usize = 1024 * 1024;

/// Bytes of which no two pieces are alike.
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
    async fn what_is_sent_is_what_is_read(t: Caller) {
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

    async fn a_url_stays_where_it_is(t: Caller) {
        let url = "https://example.com/a.png".to_owned();
        let attachment = NewAttachment { content_type: "image/png".to_owned(), url: url.clone(), ..Default::default() };
        let message = t.ok(with(vec![attachment])).await;
        let attachment = &message.attachments[0];
        assert_eq!((&attachment.url, attachment.size_bytes), (&url, 0));
        let refusal = Refusal::of(&t.download(&message.id, &attachment.id).await.unwrap_err());
        assert_eq!(refusal.why(), (Code::FailedPrecondition, "ATTACHMENT_ELSEWHERE"));
        assert_eq!(refusal.about("url"), url);
    }

    async fn an_upload_is_good_for_one_send(t: Caller) {
        let whole = content(700_001);
        let pieces = [whole.slice(..1), whole.slice(1..1), whole.slice(1..300_000), whole.slice(300_000..)];
        let mut stream = vec![head("film.mp4", "video/mp4", pieces[0].clone())];
        stream.extend(pieces[1..].iter().map(|data| piece(data.clone())));
        let upload = t.upload(stream).await.unwrap();
        assert_eq!(upload.size_bytes, 700_001);
        let message = t.ok(with(vec![uploaded(&upload.upload_id)])).await;
        let kept_until = upload.expires_at.unwrap().seconds - message.created_at.unwrap().seconds;
        assert!((86_300..=86_400).contains(&kept_until), "24 hours, not {kept_until} s");
        let attachment = &message.attachments[0];
        assert_eq!((attachment.filename.as_str(), attachment.content_type.as_str()), ("film.mp4", "video/mp4"));
        assert_eq!(attachment.size_bytes, 700_001);
        assert!(t.download(&message.id, &attachment.id).await.unwrap() == whole);

        let refusal = t.refused(with(vec![uploaded(&upload.upload_id)])).await;
        assert_eq!(refusal.why(), (Code::FailedPrecondition, "UPLOAD_NOT_FOUND"));
    }

    async fn one_upload_in_two_places_of_one_message(t: Caller) {
        let upload = t.upload(vec![head("a", "text/plain", "x")]).await.unwrap().upload_id;
        let refusal = t.refused(with(vec![uploaded(&upload), uploaded(&upload)])).await;
        assert_eq!(refusal.why(), (Code::FailedPrecondition, "UPLOAD_NOT_FOUND"));
        t.ok(with(vec![uploaded(&upload)])).await;
    }

    async fn a_send_may_name_an_upload_anew(t: Caller) {
        let upload = t.upload(vec![head("a", "text/plain", "x")]).await.unwrap().upload_id;
        let renamed = NewAttachment {
            filename: "b.txt".to_owned(),
            content_type: "text/markdown".to_owned(),
            ..uploaded(&upload)
        };
        let attachment = t.ok(with(vec![renamed])).await.attachments.remove(0);
        assert_eq!((attachment.filename.as_str(), attachment.content_type.as_str()), ("b.txt", "text/markdown"));
    }

    async fn a_refused_send_leaves_the_upload(t: Caller) {
        let upload = t.upload(vec![head("", "text/plain", "x")]).await.unwrap().upload_id;
        let mut request = with(vec![uploaded(&upload), uploaded("0190f5fe-7c00-7a00-b000-000000000000")]);
        assert_eq!(t.refused(request.clone()).await.reason, "UPLOAD_NOT_FOUND");
        request.attachments.truncate(1);
        t.ok(request).await;
    }

    async fn an_upload_has_25_mib_and_not_a_byte_more(t: Caller) {
        let mebibyte = content(MIB);
        let mut pieces = vec![head("large.bin", "application/octet-stream", mebibyte.clone())];
        pieces.extend((1..25).map(|_| piece(mebibyte.clone())));
        let upload = t.upload(pieces.clone()).await.unwrap();
        assert_eq!(upload.size_bytes, 26_214_400);
        let message = t.ok(with(vec![uploaded(&upload.upload_id)])).await;
        let read = t.download(&message.id, &message.attachments[0].id).await.unwrap();
        assert_eq!(read.len(), 26_214_400);
        assert!(read.chunks(MIB).all(|chunk| chunk == mebibyte));

        pieces.push(piece("x"));
        let refusal = Refusal::of(&t.upload(pieces).await.unwrap_err());
        assert_eq!(refusal.why(), (Code::InvalidArgument, "INVALID_REQUEST"));
        assert_eq!(refusal.fields, ["data"]);
    }

    async fn ten_attachments_and_not_one_more(t: Caller) {
        let files = |count| vec![file("a", "text/plain", "x"); count];
        let message = t.ok(with(files(10))).await;
        let mut ids: Vec<_> = message.attachments.iter().map(|a| a.id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 10);
        assert_eq!(t.refused(with(files(11))).await.fields, ["attachments"]);
    }
}
