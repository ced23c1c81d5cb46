//! `UploadAttachment`: the first piece says what the file is, the others carry the rest.

use bytes::Bytes;
use parlance_app::Result;
use parlance_app::attachments::FinishedUpload;
use parlance_domain::Violation;
use parlance_domain::message::{AttachmentView, ContentView, Limits};
use parlance_proto::v1;

use crate::convert::fields::Found;
use crate::convert::time;

/// What the first piece says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UploadHeader {
    /// The file's name; may be empty.
    pub(crate) filename: String,
    /// Its type.
    pub(crate) content_type: String,
    /// What of its content came along.
    pub(crate) data: Bytes,
}

/// Reads the first piece.
pub(crate) fn upload_header(
    request: v1::UploadAttachmentRequest,
    limits: &Limits,
) -> Result<UploadHeader> {
    let mut found = Found::new();
    let v1::UploadAttachmentRequest {
        filename,
        content_type,
        data,
    } = request;
    if content_type.is_empty() {
        found.push(
            "content_type",
            "required in the first piece; give one such as image/png",
        );
    }
    check_file(&mut found, &filename, &content_type, limits);
    found.finish(|| {
        Some(UploadHeader {
            filename,
            content_type,
            data,
        })
    })
}

/// A file obeys the rules of an attachment: those of a message that has just this one, under the names of the upload.
fn check_file(found: &mut Found, filename: &str, content_type: &str, limits: &Limits) {
    let file = AttachmentView {
        filename,
        content_type,
        ..AttachmentView::default()
    };
    let view = ContentView {
        received: true,
        attachments: &[file],
        ..ContentView::default()
    };
    let renamed = |Violation { field, description }: Violation| {
        let name = field.strip_prefix("attachments[0].")?;
        Some(Violation::new(name, description))
    };
    found.extend(view.check(limits).into_iter().filter_map(renamed));
}

/// Reads a later piece.
pub(crate) fn upload_chunk(request: v1::UploadAttachmentRequest) -> Result<Bytes> {
    const WHY: &str = "only the first piece says it";
    let mut found = Found::new();
    let v1::UploadAttachmentRequest {
        filename,
        content_type,
        data,
    } = request;
    found.absent("filename", filename.is_empty(), WHY);
    found.absent("content_type", content_type.is_empty(), WHY);
    found.finish(|| Some(data))
}

/// Shows where an upload is kept.
pub(crate) fn upload_to_proto(upload: FinishedUpload) -> v1::UploadAttachmentResponse {
    let FinishedUpload {
        id,
        expires_at,
        size_bytes,
    } = upload;
    v1::UploadAttachmentResponse {
        upload_id: id.to_string(),
        expires_at: Some(time::timestamp_to_proto(expires_at)),
        size_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::wrong;

    fn request(filename: &str, content_type: &str) -> v1::UploadAttachmentRequest {
        v1::UploadAttachmentRequest {
            filename: filename.to_owned(),
            content_type: content_type.to_owned(),
            data: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn the_first_piece_says_what_it_is() {
        let of = |filename, content_type| {
            upload_header(request(filename, content_type), &Limits::default())
        };
        assert_eq!(of("", "a/b").unwrap().data, "x");
        assert_eq!(wrong(of("", "")), ["content_type"]);
        assert_eq!(wrong(of("a\nb", "ab")), ["filename", "content_type"]);
    }

    #[test]
    fn the_others_do_not() {
        assert_eq!(upload_chunk(request("", "")).unwrap(), "x");
        assert_eq!(
            wrong(upload_chunk(request("f", "a/b"))),
            ["filename", "content_type"]
        );
    }
}
