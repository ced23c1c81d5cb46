//! Attachments and uploads; in tables of their own because of their content.

use diesel::prelude::*;
use diesel::{pg::Pg, sqlite::Sqlite};
use parlance_domain::Attachment;

use crate::fields::{Id, Instant};
use crate::schema::{attachment_chunks, attachments};

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = attachments, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
pub(crate) struct AttachmentRow {
    pub(crate) id: Id,
    pub(crate) owner: String,
    pub(crate) message_id: Option<Id>,
    pub(crate) filename: String,
    pub(crate) content_type: String,
    pub(crate) size_bytes: i64,
    pub(crate) url: Option<String>,
    pub(crate) complete: bool,
    pub(crate) created_at: Instant,
    pub(crate) expires_at: Option<Instant>,
}

#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = attachment_chunks, check_for_backend(Pg, Sqlite))]
pub(crate) struct ChunkRow {
    pub(crate) attachment_id: Id,
    pub(crate) position: i32,
    pub(crate) data: Vec<u8>,
}

impl From<AttachmentRow> for Attachment {
    fn from(row: AttachmentRow) -> Self {
        Self {
            id: row.id.into(),
            filename: row.filename,
            content_type: row.content_type,
            size_bytes: row.size_bytes,
            url: row.url,
        }
    }
}
