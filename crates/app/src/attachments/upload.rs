//! Uploading what does not fit a request.

use bytes::{Bytes, BytesMut};
use parlance_domain::{Attachment, AttachmentId, Owner, Timestamp};
use parlance_storage::Database;

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::PIECE;
use crate::write::held;

/// An upload that is being written. Dropped before it is finished, it is forgotten.
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

/// An upload that a message can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishedUpload {
    /// Its id.
    pub id: AttachmentId,
    /// Until when.
    pub expires_at: Timestamp,
    /// How large it is.
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
        while self.pending.len() >= PIECE {
            let piece = self.pending.split_to(PIECE);
            self.store(piece.to_vec()).await?;
        }
        Ok(())
    }

    /// Ends the upload.
    pub async fn finish(mut self) -> Result<FinishedUpload> {
        if !self.pending.is_empty() {
            let rest = self.pending.split().to_vec();
            self.store(rest).await?;
        }
        let size_bytes = i64::try_from(self.size).unwrap_or(i64::MAX);
        held(
            self.db
                .complete_upload(&self.owner, self.id, size_bytes)
                .await?,
        )
        .map_err(|_| forgotten())?;
        self.finished = true;
        Ok(FinishedUpload {
            id: self.id,
            expires_at: self.expires_at,
            size_bytes,
        })
    }

    async fn store(&mut self, piece: Vec<u8>) -> Result<()> {
        held(
            self.db
                .append_upload(&self.owner, self.id, self.position, piece)
                .await?,
        )
        .map_err(|_| forgotten())?;
        self.position += 1;
        Ok(())
    }
}

fn forgotten() -> Error {
    Error::new(
        Reason::UploadNotFound,
        "the upload took so long that it has been forgotten",
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
                // The janitor will find it.
                tracing::debug!(%error, upload_id = %id, "an upload that broke off could not be discarded yet");
            }
        });
    }
}
