//! Limits of a message's content.

/// Limits of a message's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Characters of an SMS or MMS body.
    pub sms_body_chars: usize,
    /// Bytes of any other body, and of an HTML body.
    pub body_bytes: usize,
    /// Bytes of the metadata as JSON.
    pub metadata_bytes: usize,
    /// Number of attachments.
    pub attachments: usize,
    /// Bytes of one attachment.
    pub attachment_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sms_body_chars: 1_600,
            body_bytes: 256 * 1024,
            metadata_bytes: 16 * 1024,
            attachments: 10,
            attachment_bytes: 25 * 1024 * 1024,
        }
    }
}
