//! `UploadAttachment`: the first chunk describes the file, the others have only content.

use bytes::Bytes;
use parlance_app::Result;
use parlance_app::attachments::FinishedUpload;
use parlance_domain::Violation;
use parlance_domain::message::{AttachmentView, ContentView, Limits};
use parlance_proto::v1;

use crate::convert::fields::Violations;
use crate::convert::time;

/// The first chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UploadHeader {
    /// Name of the file; may be empty.
    pub(crate) filename: String,
    /// Content type of the file.
    pub(crate) content_type: String,
    /// First part of the content.
    pub(crate) data: Bytes,
}

/// Reads the first chunk.
pub(crate) fn upload_header(
    request: v1::UploadAttachmentRequest,
    limits: &Limits,
) -> Result<UploadHeader> {
    let mut violations = Violations::new();
    let v1::UploadAttachmentRequest {
        filename,
        content_type,
        data,
    } = request;
    if content_type.is_empty() {
        violations.push(
            "content_type",
            "required in the first chunk; use one such as image/png",
        );
    }
    check_file(&mut violations, &filename, &content_type, limits);
    violations.finish(|| {
        Some(UploadHeader {
            filename,
            content_type,
            data,
        })
    })
}

/// Checks the file by the rules for attachments: those of a message with this single attachment. The violations get the
/// field names of the upload.
fn check_file(violations: &mut Violations, filename: &str, content_type: &str, limits: &Limits) {
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
    violations.extend(view.check(limits).into_iter().filter_map(renamed));
}

/// Reads a later chunk.
pub(crate) fn upload_chunk(request: v1::UploadAttachmentRequest) -> Result<Bytes> {
    const WHY: &str = "only the first chunk has it";
    let mut violations = Violations::new();
    let v1::UploadAttachmentRequest {
        filename,
        content_type,
        data,
    } = request;
    violations.absent("filename", filename.is_empty(), WHY);
    violations.absent("content_type", content_type.is_empty(), WHY);
    violations.finish(|| Some(data))
}

/// Converts a finished upload.
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
    use crate::convert::testing::rejected_fields;

    fn request(filename: &str, content_type: &str) -> v1::UploadAttachmentRequest {
        v1::UploadAttachmentRequest {
            filename: filename.to_owned(),
            content_type: content_type.to_owned(),
            data: Bytes::from_static(b"x"),
        }
    }

    #[test]
    fn the_first_chunk_describes_the_file() {
        let of = |filename, content_type| {
            upload_header(request(filename, content_type), &Limits::default())
        };
        assert_eq!(of("", "a/b").unwrap().data, "x");
        assert_eq!(rejected_fields(of("", "")), ["content_type"]);
        assert_eq!(
            rejected_fields(of("a\nb", "ab")),
            ["filename", "content_type"]
        );
    }

    #[test]
    fn later_chunks_have_content_only() {
        assert_eq!(upload_chunk(request("", "")).unwrap(), "x");
        assert_eq!(
            rejected_fields(upload_chunk(request("f", "a/b"))),
            ["filename", "content_type"]
        );
    }
}
