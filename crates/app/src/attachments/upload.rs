//! Uploads content that does not fit into a request.

use bytes::{Bytes, BytesMut};
use parlance_domain::{Attachment, AttachmentId, Owner, Timestamp};
use parlance_storage::Database;

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::CHUNK;
use crate::write::ensure_updated;

/// Upload in progress. If it is dropped before it is finished, its content is discarded.
pub struct Upload {
    db: Database,
    owner: Owner,
    id: AttachmentId,
    expires_at: Timestamp,
    limit: u64,
    pending: BytesMut,
    position: i32,
    size: u64,
    finished: bool,
}

/// Finished upload, which a message can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishedUpload {
    /// Its id.
    pub id: AttachmentId,
    /// When it expires.
    pub expires_at: Timestamp,
    /// Size in bytes.
    pub size_bytes: i64,
}

impl App {
    /// Begins an upload.
    pub async fn begin_upload(
        &self,
        owner: &Owner,
        filename: String,
        content_type: String,
    ) -> Result<Upload> {
        let now = self.now();
        let id = self.attachment_id(now);
        let expires_at = now.plus(self.settings.upload_lifetime);
        let attachment = Attachment {
            id,
            filename,
            content_type,
            size_bytes: 0,
            url: None,
        };
        self.db
            .begin_upload(owner, &attachment, now, expires_at)
            .await?;
        Ok(Upload {
            db: self.db.clone(),
            owner: owner.clone(),
            id,
            expires_at,
            limit: self.settings.limits.attachment_bytes,
            pending: BytesMut::new(),
            position: 0,
            size: 0,
            finished: false,
        })
    }
}

impl Upload {
    /// Adds data.
    pub async fn append(&mut self, data: Bytes) -> Result<()> {
        self.size += data.len() as u64;
        if self.size > self.limit {
            let limit = self.limit;
            return Err(Error::invalid_field(
                "data",
                format!("an attachment has at most {limit} bytes; send a smaller file or a url"),
            ));
        }
        self.pending.extend_from_slice(&data);
        while self.pending.len() >= CHUNK {
            let chunk = self.pending.split_to(CHUNK);
            self.store(chunk.to_vec()).await?;
        }
        Ok(())
    }

    /// Finishes the upload.
    pub async fn finish(mut self) -> Result<FinishedUpload> {
        if !self.pending.is_empty() {
            let rest = self.pending.split().to_vec();
            self.store(rest).await?;
        }
        let size_bytes = i64::try_from(self.size).unwrap_or(i64::MAX);
        ensure_updated(
            self.db
                .complete_upload(&self.owner, self.id, size_bytes)
                .await?,
        )
        .map_err(|_| expired())?;
        self.finished = true;
        Ok(FinishedUpload {
            id: self.id,
            expires_at: self.expires_at,
            size_bytes,
        })
    }

    async fn store(&mut self, chunk: Vec<u8>) -> Result<()> {
        ensure_updated(
            self.db
                .append_upload(&self.owner, self.id, self.position, chunk)
                .await?,
        )
        .map_err(|_| expired())?;
        self.position += 1;
        Ok(())
    }
}

fn expired() -> Error {
    Error::new(
        Reason::UploadNotFound,
        "the upload took too long and has been removed; upload the file again",
    )
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.finished || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (db, owner, id) = (self.db.clone(), self.owner.clone(), self.id);
        tokio::spawn(async move {
            if let Err(error) = db.discard_upload(&owner, id).await {
                // The janitor removes it.
                tracing::debug!(%error, upload_id = %id, "an interrupted upload could not be discarded yet");
            }
        });
    }
}
