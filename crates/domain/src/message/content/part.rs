//! Rules for attachments.

use super::limits::Limits;
use super::violations::{NUL, Violations};

/// Maximum length of a file name and of a content type, in bytes: what file systems and mail programs accept.
const NAME_BYTES: usize = 255;

/// Maximum length of a URL, in bytes: what providers and browsers accept.
const URL_BYTES: usize = 2_048;

/// Borrowed view of an attachment.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttachmentView<'a> {
    /// File name shown to the recipient; may be empty.
    pub filename: &'a str,
    /// MIME type; may be empty.
    pub content_type: &'a str,
    /// Location of the content, if it is not stored here.
    pub url: Option<&'a str>,
    /// Size of the content in bytes; 0 if only a URL is known.
    pub size_bytes: u64,
}

/// Checks the number of attachments and each attachment.
pub(super) fn check(
    attachments: &[AttachmentView<'_>],
    limits: &Limits,
    violations: &mut Violations,
) {
    if attachments.len() > limits.attachments {
        let most = limits.attachments;
        violations.push(
            "attachments",
            format!("at most {most} attachments; leave some out"),
        );
    }
    for (i, attachment) in attachments.iter().enumerate() {
        let field = |name: &str| format!("attachments[{i}].{name}");
        let AttachmentView {
            filename,
            content_type,
            url,
            size_bytes,
        } = *attachment;
        if let Some(description) = filename_error(filename) {
            violations.push(field("filename"), description);
        }
        if let Some(description) = content_type_error(content_type) {
            violations.push(field("content_type"), description);
        }
        if let Some(description) = url.and_then(url_error) {
            violations.push(field("url"), description);
        }
        if size_bytes > limits.attachment_bytes {
            let most = limits.attachment_bytes;
            violations.push(
                field("content"),
                format!("at most {most} bytes; send a smaller file or a url"),
            );
        }
    }
}

/// Checks a file name. It becomes part of a header, which a control character could end.
fn filename_error(filename: &str) -> Option<&'static str> {
    if filename.contains('\0') {
        Some(NUL)
    } else if filename.contains(char::is_control) {
        Some("a file name has no control characters; remove them")
    } else if filename.len() > NAME_BYTES {
        Some("at most 255 bytes; shorten it")
    } else {
        None
    }
}

/// Checks a content type, which becomes part of a header too.
fn content_type_error(content_type: &str) -> Option<&'static str> {
    let (kind, rest) = content_type.split_once('/').unwrap_or_default();
    let is_type = !kind.is_empty()
        && !rest.is_empty()
        && content_type.len() <= NAME_BYTES
        && content_type
            .bytes()
            .all(|b| b.is_ascii_graphic() || b == b' ');
    (!content_type.is_empty() && !is_type)
        .then_some("not a content type; write one such as image/png, or leave it out")
}

fn url_error(url: &str) -> Option<&'static str> {
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    if host.is_none_or(str::is_empty) || url.contains(|c: char| c.is_control() || c.is_whitespace())
    {
        Some("not a url that a provider can fetch; write one that begins with https://")
    } else if url.len() > URL_BYTES {
        Some("at most 2048 bytes; use a shorter url")
    } else {
        None
    }
}
