//! What a message may carry.

use super::{Found, Limits, NUL};

/// The longest file name and content type, in bytes: what file systems and mail programs put up with.
const NAME_BYTES: usize = 255;

/// The longest URL, in bytes: what providers and browsers put up with.
const URL_BYTES: usize = 2_048;

/// An attachment, borrowed from wherever it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttachmentView<'a> {
    /// The name that a person sees; may be empty.
    pub filename: &'a str,
    /// The MIME type; may be empty.
    pub content_type: &'a str,
    /// Where the content is, if it is not with us.
    pub url: Option<&'a str>,
    /// Bytes of content; 0 where only a URL is known.
    pub size_bytes: u64,
}

/// Checks how many there are, and each.
pub(super) fn check(attachments: &[AttachmentView<'_>], limits: &Limits, found: &mut Found) {
    if attachments.len() > limits.attachments {
        let most = limits.attachments;
        found.push(
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
        if let Some(wrong) = wrong_name(filename) {
            found.push(field("filename"), wrong);
        }
        if let Some(wrong) = wrong_content_type(content_type) {
            found.push(field("content_type"), wrong);
        }
        if let Some(wrong) = url.and_then(wrong_url) {
            found.push(field("url"), wrong);
        }
        if size_bytes > limits.attachment_bytes {
            let most = limits.attachment_bytes;
            found.push(
                field("content"),
                format!("at most {most} bytes; send a smaller file or a url"),
            );
        }
    }
}

/// A name ends up in a header: a control character could end that.
fn wrong_name(filename: &str) -> Option<&'static str> {
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

/// So does the type.
fn wrong_content_type(content_type: &str) -> Option<&'static str> {
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

fn wrong_url(url: &str) -> Option<&'static str> {
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
