//! Attachments of messages.

use crate::AttachmentId;

/// An attachment of a message. Its content is stored separately and is never part of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Id.
    pub id: AttachmentId,
    /// File name shown to the recipient; may be empty.
    pub filename: String,
    /// The MIME type.
    pub content_type: String,
    /// Size of the stored content in bytes; 0 if only a URL is known.
    pub size_bytes: i64,
    /// Location of the content, if it is not stored here.
    pub url: Option<String>,
}
