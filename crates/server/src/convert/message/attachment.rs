//! Attachments of a new message. The domain checks names, types, URLs and sizes; this module checks the rest.

use parlance_app::messages::{AttachmentSource, NewAttachment};
use parlance_domain::AttachmentId;
use parlance_domain::message::AttachmentView;
use parlance_proto::v1;

use crate::convert::fields::Violations;

/// Reads all attachments. Invalid ones are recorded and left out.
pub(crate) fn attachments(
    violations: &mut Violations,
    attachments: Vec<v1::NewAttachment>,
) -> Vec<NewAttachment> {
    let read = |(index, new)| attachment(violations, index, new);
    attachments
        .into_iter()
        .enumerate()
        .filter_map(read)
        .collect()
}

fn attachment(
    violations: &mut Violations,
    index: usize,
    new: v1::NewAttachment,
) -> Option<NewAttachment> {
    let v1::NewAttachment {
        filename,
        content_type,
        url,
        content,
        upload_id,
    } = new;
    let field = |name: &str| format!("attachments[{index}].{name}");
    let given = [!url.is_empty(), !content.is_empty(), !upload_id.is_empty()];
    let source = match given {
        [true, false, false] => Some(AttachmentSource::Url(url)),
        [false, true, false] => Some(AttachmentSource::Content(content)),
        [false, false, true] => violations
            .id(field("upload_id"), &upload_id, AttachmentId::parse)
            .map(AttachmentSource::Upload),
        [false, false, false] => {
            violations.push(
                format!("attachments[{index}]"),
                "has no content; set url, content or upload_id",
            );
            None
        }
        [true, true, _] | [true, _, true] | [_, true, true] => {
            violations.push(
                format!("attachments[{index}]"),
                "has its content twice; set only one of url, content and upload_id",
            );
            None
        }
    };
    // An upload already has a type.
    if content_type.is_empty() && upload_id.is_empty() {
        violations.push(field("content_type"), "required; use one such as image/png");
    }
    source.map(|source| NewAttachment {
        filename,
        content_type,
        source,
    })
}

/// The part that the domain checks.
pub(crate) fn view(new: &v1::NewAttachment) -> AttachmentView<'_> {
    let v1::NewAttachment {
        filename,
        content_type,
        url,
        content,
        upload_id: _,
    } = new;
    AttachmentView {
        filename,
        content_type,
        url: (!url.is_empty()).then_some(url),
        size_bytes: content.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::convert::testing::{accepted, violated_fields};

    const ID: &str = "01932b1c-0000-7000-8000-000000000001";

    fn new(
        content_type: &str,
        url: &str,
        content: &'static str,
        upload_id: &str,
    ) -> v1::NewAttachment {
        v1::NewAttachment {
            filename: "f".to_owned(),
            content_type: content_type.to_owned(),
            url: url.to_owned(),
            content: Bytes::from_static(content.as_bytes()),
            upload_id: upload_id.to_owned(),
        }
    }

    #[test]
    fn content_has_exactly_one_source() {
        let given = vec![
            new("a/b", "https://x.example/f", "", ""),
            new("a/b", "", "bytes", ""),
            new("", "", "", ID),
        ];
        let read: Vec<_> = accepted(|violations| attachments(violations, given))
            .into_iter()
            .map(|a| a.source)
            .collect();
        let upload = AttachmentId::parse(ID).unwrap();
        assert_eq!(
            read,
            [
                AttachmentSource::Url("https://x.example/f".to_owned()),
                AttachmentSource::Content(Bytes::from_static(b"bytes")),
                AttachmentSource::Upload(upload),
            ]
        );
    }

    #[test]
    fn every_invalid_attachment_is_reported_by_its_index() {
        let given = vec![
            new("a/b", "", "", ""),
            new("a/b", "https://x.example/f", "bytes", ""),
            new("a/b", "https://x.example/f", "bytes", ID),
            new("", "", "bytes", ""),
            new("", "", "", "x"),
        ];
        let fields = violated_fields(|violations| _ = attachments(violations, given));
        let expected = [
            "attachments[0]",
            "attachments[1]",
            "attachments[2]",
            "attachments[3].content_type",
            "attachments[4].upload_id",
        ];
        assert_eq!(fields, expected);
    }
}
