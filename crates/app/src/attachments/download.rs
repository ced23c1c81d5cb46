//! Reads an attachment.

use parlance_domain::{AttachmentId, MessageId, Owner};
use parlance_storage::Database;

use crate::App;
use crate::error::{Error, Reason, Result};

/// Reader of an attachment's chunks.
pub struct AttachmentReader {
    db: Database,
    owner: Owner,
    id: AttachmentId,
    position: i32,
    left: i64,
    content_type: String,
    size_bytes: i64,
}

impl App {
    /// Opens an attachment for reading.
    pub async fn open_attachment(
        &self,
        owner: &Owner,
        message: MessageId,
        id: AttachmentId,
    ) -> Result<AttachmentReader> {
        let found = self
            .db
            .attachment(owner, message, id)
            .await?
            .ok_or_else(not_found)?;
        if let Some(url) = found.url {
            return Err(Error::new(
                Reason::AttachmentElsewhere,
                "the content is at the attachment's url",
            )
            .with("url", url));
        }
        Ok(AttachmentReader {
            db: self.db.clone(),
            owner: owner.clone(),
            id,
            position: 0,
            left: found.size_bytes,
            content_type: found.content_type,
            size_bytes: found.size_bytes,
        })
    }
}

impl AttachmentReader {
    /// The MIME type.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Size of the whole content.
    pub const fn size_bytes(&self) -> i64 {
        self.size_bytes
    }

    /// The next chunk; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.left <= 0 {
            return Ok(None);
        }
        // Missing if the message was deleted during the download. Fails, so that half a file does not look complete.
        let chunk = self
            .db
            .attachment_chunk(&self.owner, self.id, self.position)
            .await?
            .ok_or_else(not_found)?;
        self.position += 1;
        self.left -= i64::try_from(chunk.len()).unwrap_or(i64::MAX);
        Ok(Some(chunk))
    }
}

pub(super) fn not_found() -> Error {
    Error::new(
        Reason::AttachmentNotFound,
        "the message has no such attachment",
    )
}
