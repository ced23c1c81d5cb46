//! Attachments, uploads and their content.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::{Id, Instant};
use crate::prepared::prepared;
use crate::rows::attachment::{AttachmentRow, ChunkRow};
use crate::schema::{attachment_chunks, attachments, conversations, messages};

/// The message of an attachment, unless its conversation is being deleted.
macro_rules! visible {
    () => {
        messages::table
            .inner_join(conversations::table.on(conversations::id.eq(messages::conversation_id)))
            .filter(attachments::message_id.eq(messages::id.nullable()))
            .filter(conversations::deleted_at.is_null())
    };
}

pub(crate) async fn of_message(
    c: &mut Conn,
    owner: &str,
    message: Id,
    id: Id,
) -> QueryResult<Option<AttachmentRow>> {
    attachments::table
        .filter(attachments::id.eq(id))
        .filter(attachments::owner.eq(owner))
        .filter(attachments::message_id.eq(Some(message)))
        .filter(diesel::dsl::exists(visible!()))
        .select(AttachmentRow::as_select())
        .get_result(c)
        .await
        .optional()
}

/// A piece of the content; the owner is checked again, since the attachment may be gone by now.
pub(crate) async fn chunk(
    c: &mut Conn,
    owner: &str,
    id: Id,
    position: i32,
) -> QueryResult<Option<Vec<u8>>> {
    attachment_chunks::table
        .inner_join(attachments::table.on(attachments::id.eq(attachment_chunks::attachment_id)))
        .filter(attachment_chunks::attachment_id.eq(id))
        .filter(attachment_chunks::position.eq(position))
        .filter(attachments::owner.eq(owner))
        .filter(diesel::dsl::exists(visible!()))
        .select(attachment_chunks::data)
        .get_result(c)
        .await
        .optional()
}

pub(crate) async fn insert(c: &mut Conn, row: &AttachmentRow) -> QueryResult<()> {
    diesel::insert_into(attachments::table)
        .values(row.clone())
        .execute(c)
        .await
        .map(|_| ())
}

pub(crate) async fn insert_chunk(c: &mut Conn, row: &ChunkRow) -> QueryResult<()> {
    diesel::insert_into(attachment_chunks::table)
        .values(row.clone())
        .execute(c)
        .await
        .map(|_| ())
}

/// Locks an upload that is still being streamed, so that what is finished stays as it is; whether there is one.
pub(crate) async fn lock_unfinished(c: &mut Conn, owner: &str, id: Id) -> QueryResult<bool> {
    let found: Option<Id> = locked!(
        attachments::table
            .filter(attachments::id.eq(id))
            .filter(attachments::owner.eq(owner))
            .filter(attachments::complete.eq(false))
            .select(attachments::id)
    )
    .get_result(c)
    .await
    .optional()?;
    Ok(found.is_some())
}

/// An upload whose last byte has come.
pub(crate) async fn complete(
    c: &mut Conn,
    owner: &str,
    id: Id,
    size_bytes: i64,
) -> QueryResult<bool> {
    let target = attachments::table
        .filter(attachments::id.eq(id))
        .filter(attachments::owner.eq(owner))
        .filter(attachments::complete.eq(false));
    let set = (
        attachments::complete.eq(true),
        attachments::size_bytes.eq(size_bytes),
    );
    Ok(prepared(diesel::update(target).set(set)).execute(c).await? == 1)
}

/// A finished upload that no message has taken and whose time has not passed.
pub(crate) async fn upload(
    c: &mut Conn,
    owner: &str,
    id: Id,
    now: Instant,
) -> QueryResult<Option<AttachmentRow>> {
    attachments::table
        .filter(attachments::id.eq(id))
        .filter(attachments::owner.eq(owner))
        .filter(attachments::message_id.is_null())
        .filter(attachments::complete)
        .filter(attachments::expires_at.gt(Some(now)))
        .select(AttachmentRow::as_select())
        .get_result(c)
        .await
        .optional()
}

/// Gives an upload to its one message; `false` if another was first or its time has passed.
pub(crate) async fn claim_upload(
    c: &mut Conn,
    owner: &str,
    id: Id,
    message: Id,
    now: Instant,
) -> QueryResult<bool> {
    let target = attachments::table
        .filter(attachments::id.eq(id))
        .filter(attachments::owner.eq(owner))
        .filter(attachments::message_id.is_null())
        .filter(attachments::complete)
        .filter(attachments::expires_at.gt(Some(now)));
    let set = (
        attachments::message_id.eq(Some(message)),
        attachments::expires_at.eq(None::<Instant>),
    );
    Ok(prepared(diesel::update(target).set(set)).execute(c).await? == 1)
}

/// Removes an upload that broke off.
pub(crate) async fn discard(c: &mut Conn, owner: &str, id: Id) -> QueryResult<()> {
    let target = attachments::table
        .filter(attachments::id.eq(id))
        .filter(attachments::owner.eq(owner))
        .filter(attachments::message_id.is_null());
    diesel::delete(target).execute(c).await.map(|_| ())
}

/// Removes uploads of the whole installation that nobody used in time.
pub(crate) async fn prune(c: &mut Conn, now: Instant) -> QueryResult<usize> {
    let target = attachments::table
        .filter(attachments::message_id.is_null())
        .filter(attachments::expires_at.le(Some(now)));
    diesel::delete(target).execute(c).await
}
