//! Attachments, uploads and their content. Content is stored in chunks, so that neither a write nor a read has all of
//! it in memory.

use parlance_domain::{Attachment, AttachmentId, MessageId, Owner, Timestamp};

pub use crate::model::attachment::PruneResult;

use crate::conn::Database;
use crate::db::tx::Tx;
use crate::error::StorageResult;
use crate::fields::Id;
use crate::model::guarded::Guarded;
use crate::rows::attachment::{AttachmentRow, ChunkRow};

/// Chunks of content that one transaction removes: 16 MiB.
pub const CHUNKS_PER_PRUNE: i64 = 64;
/// Uploads that one transaction removes.
const UPLOADS: i64 = 500;

impl Database {
    /// Returns an attachment of a message.
    pub async fn attachment(
        &self,
        owner: &Owner,
        message: MessageId,
        id: AttachmentId,
    ) -> StorageResult<Option<Attachment>> {
        let (message, id) = (Id::from(message), Id::from(id));
        let row = read!(self, |c, q| q::attachment::of_message(
            c,
            owner.as_str(),
            message,
            id
        ))?;
        Ok(row.map(Attachment::from))
    }

    /// Returns a chunk of an attachment's content; `None` after the last.
    pub async fn attachment_chunk(
        &self,
        owner: &Owner,
        id: AttachmentId,
        position: i32,
    ) -> StorageResult<Option<Vec<u8>>> {
        read!(self, |c, q| q::attachment::chunk(
            c,
            owner.as_str(),
            id.into(),
            position
        ))
    }

    /// Begins an upload.
    pub async fn begin_upload(
        &self,
        owner: &Owner,
        upload: &Attachment,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> StorageResult<()> {
        let row = row(owner, upload, None, now, Some(expires_at), false);
        let mut connection = self.writer().await?;
        on!(connection, |c, q| q::attachment::insert(c, &row))?;
        connection.commit().await
    }

    /// Appends a chunk to an upload; `Stale` if it is complete or was removed.
    pub async fn append_upload(
        &self,
        owner: &Owner,
        id: AttachmentId,
        position: i32,
        data: Vec<u8>,
    ) -> StorageResult<Guarded> {
        let chunk = ChunkRow {
            attachment_id: id.into(),
            position,
            data,
        };
        let mut connection = self.writer().await?;
        if !on!(connection, |c, q| q::attachment::lock_unfinished(
            c,
            owner.as_str(),
            chunk.attachment_id
        ))? {
            connection.rollback().await?;
            return Ok(Guarded::Stale);
        }
        on!(connection, |c, q| q::attachment::insert_chunk(c, &chunk))?;
        connection.commit().await?;
        Ok(Guarded::Updated)
    }

    /// Completes an upload: from now on a message may use it.
    pub async fn complete_upload(
        &self,
        owner: &Owner,
        id: AttachmentId,
        size_bytes: i64,
    ) -> StorageResult<Guarded> {
        let mut connection = self.writer().await?;
        let done = on!(connection, |c, q| q::attachment::complete(
            c,
            owner.as_str(),
            id.into(),
            size_bytes
        ))?;
        connection.commit().await?;
        Ok(done.into())
    }

    /// Removes an upload that was interrupted.
    pub async fn discard_upload(&self, owner: &Owner, id: AttachmentId) -> StorageResult<()> {
        let mut connection = self.writer().await?;
        on!(connection, |c, q| q::attachment::discard(
            c,
            owner.as_str(),
            id.into()
        ))?;
        connection.commit().await
    }

    /// Removes uploads of the whole installation that no message used in time, and the attachments of deleted messages,
    /// which become such uploads. The content is removed first, [`CHUNKS_PER_PRUNE`] chunks by each call.
    pub async fn prune_uploads(&self, now: Timestamp) -> StorageResult<PruneResult> {
        let mut connection = self.writer().await?;
        let ids = on!(connection, |c, q| q::attachment::expired(
            c,
            now.into(),
            UPLOADS
        ))?;
        on!(connection, |c, q| q::attachment::expire(c, ids.clone()))?;
        let (mut left, mut empty) = (CHUNKS_PER_PRUNE, Vec::new());
        for &id in &ids {
            let last = on!(connection, |c, q| q::attachment::last_chunks(c, id, left))?;
            if let Some(first) = last.last() {
                on!(connection, |c, q| q::attachment::delete_chunks(
                    c, id, *first
                ))?;
            }
            left -= i64::try_from(last.len()).unwrap_or(i64::MAX);
            if left <= 0 {
                break;
            }
            empty.push(id);
        }
        let removed = on!(connection, |c, q| q::attachment::delete_all(
            c,
            empty.clone()
        ))?;
        connection.commit().await?;
        Ok(PruneResult {
            removed,
            more: left <= 0 || i64::try_from(ids.len()).is_ok_and(|found| found >= UPLOADS),
        })
    }
}

impl Tx {
    /// Returns a complete upload of the owner that no message has used yet.
    pub async fn upload(&mut self, id: AttachmentId) -> StorageResult<Option<Attachment>> {
        let now = self.now.into();
        let row = on!(self.connection, |c, q| q::attachment::upload(
            c,
            self.owner.as_str(),
            id.into(),
            now
        ))?;
        Ok(row.map(Attachment::from))
    }

    /// Assigns an upload to its one message; `Stale` if another message was first.
    pub async fn claim_upload(
        &mut self,
        id: AttachmentId,
        message: MessageId,
    ) -> StorageResult<Guarded> {
        let (id, message, now) = (Id::from(id), Id::from(message), self.now.into());
        on!(self.connection, |c, q| q::attachment::claim_upload(
            c,
            self.owner.as_str(),
            id,
            message,
            now
        ))
        .map(Guarded::from)
    }

    /// Inserts an attachment of a message, with its content if we store it.
    pub async fn insert_attachment(
        &mut self,
        attachment: &Attachment,
        message: MessageId,
        pieces: Vec<Vec<u8>>,
    ) -> StorageResult<()> {
        let row = row(&self.owner, attachment, Some(message), self.now, None, true);
        on!(self.connection, |c, q| q::attachment::insert(c, &row))?;
        for (position, data) in (0..).zip(pieces) {
            let chunk = ChunkRow {
                attachment_id: row.id,
                position,
                data,
            };
            on!(self.connection, |c, q| q::attachment::insert_chunk(
                c, &chunk
            ))?;
        }
        Ok(())
    }
}

fn row(
    owner: &Owner,
    attachment: &Attachment,
    message: Option<MessageId>,
    now: Timestamp,
    expires_at: Option<Timestamp>,
    complete: bool,
) -> AttachmentRow {
    let Attachment {
        id,
        filename,
        content_type,
        size_bytes,
        url,
    } = attachment;
    AttachmentRow {
        id: (*id).into(),
        owner: owner.as_str().to_owned(),
        message_id: message.map(Id::from),
        filename: filename.clone(),
        content_type: content_type.clone(),
        size_bytes: *size_bytes,
        url: url.clone(),
        complete,
        created_at: now.into(),
        expires_at: expires_at.map(Into::into),
    }
}
