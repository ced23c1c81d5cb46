//! What travels with a message.

use crate::AttachmentId;

/// An attachment of a message; its content is kept apart and never travels with the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its id.
    pub id: AttachmentId,
    /// The name that a person sees; may be empty.
    pub filename: String,
    /// The MIME type.
    pub content_type: String,
    /// Bytes of content that we hold; 0 where only a URL is known.
    pub size_bytes: i64,
    /// Where the content is, if it is not with us.
    pub url: Option<String>,
}
