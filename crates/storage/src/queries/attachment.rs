//! Attachments, uploads and their content.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::{Id, Instant};
use crate::fragments::prepared::prepared;
use crate::rows::attachment::{AttachmentRow, ChunkRow};
use crate::schema::{attachment_chunks, attachments, conversations, messages};

/// Expiry time of an upload that may have incomplete content: in 1970, before any instance's clock.
const LONG_EXPIRED: Instant = Instant(0);

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

/// Reads a chunk of the content. The owner is checked again, since the attachment may have been removed by now.
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

/// Locks an incomplete upload, so that a complete one stays as it is; returns whether there is one.
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

/// Marks an upload as complete.
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

/// Reads a complete upload that no message has used and that has not expired.
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

/// Assigns an upload to its one message; `false` if another was first or it has expired.
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

/// Removes an upload that was interrupted.
pub(crate) async fn discard(c: &mut Conn, owner: &str, id: Id) -> QueryResult<()> {
    let target = attachments::table
        .filter(attachments::id.eq(id))
        .filter(attachments::owner.eq(owner))
        .filter(attachments::message_id.is_null());
    diesel::delete(target).execute(c).await.map(|_| ())
}

/// Turns the attachments of a message, which the caller deletes next under the same conditions, into expired uploads.
pub(crate) async fn detach(
    c: &mut Conn,
    owner: &str,
    message: Id,
    found_version: i64,
) -> QueryResult<()> {
    let deletable = messages::table
        .filter(messages::id.eq(message))
        .filter(messages::version.eq(found_version))
        .filter(messages::status.ne_all(["sending", "uncertain"]));
    let target = attachments::table
        .filter(attachments::message_id.eq(Some(message)))
        .filter(attachments::owner.eq(owner))
        .filter(diesel::dsl::exists(deletable));
    let set = (
        attachments::message_id.eq(None::<Id>),
        attachments::expires_at.eq(Some(LONG_EXPIRED)),
    );
    prepared(diesel::update(target).set(set))
        .execute(c)
        .await
        .map(|_| ())
}

/// Does the same for messages of a conversation that is being deleted.
pub(crate) async fn detach_all(
    c: &mut Conn,
    owner: &str,
    messages: Vec<Option<Id>>,
) -> QueryResult<()> {
    let target = attachments::table
        .filter(attachments::message_id.eq_any(messages))
        .filter(attachments::owner.eq(owner.to_owned()));
    let set = (
        attachments::message_id.eq(None::<Id>),
        attachments::expires_at.eq(Some(LONG_EXPIRED)),
    );
    diesel::update(target).set(set).execute(c).await.map(|_| ())
}

/// Locks uploads of the whole installation that expired before any message used them. Skips those that another instance
/// has locked.
pub(crate) async fn expired(c: &mut Conn, now: Instant, limit: i64) -> QueryResult<Vec<Id>> {
    skipping_locked!(
        attachments::table
            .filter(attachments::message_id.is_null())
            .filter(attachments::expires_at.le(Some(now)))
            .order(attachments::expires_at)
            .limit(limit)
            .select(attachments::id)
    )
    .load(c)
    .await
}

/// Makes sure that no message uses uploads that are about to lose their content, whatever the clock of its instance
/// says.
pub(crate) async fn expire(c: &mut Conn, ids: Vec<Id>) -> QueryResult<()> {
    let target = attachments::table.filter(attachments::id.eq_any(ids));
    diesel::update(target)
        .set(attachments::expires_at.eq(Some(LONG_EXPIRED)))
        .execute(c)
        .await
        .map(|_| ())
}

/// Reads the positions of the last chunks of a content.
pub(crate) async fn last_chunks(c: &mut Conn, id: Id, limit: i64) -> QueryResult<Vec<i32>> {
    attachment_chunks::table
        .filter(attachment_chunks::attachment_id.eq(id))
        .order(attachment_chunks::position.desc())
        .limit(limit)
        .select(attachment_chunks::position)
        .load(c)
        .await
}

/// Removes the chunks of a content from a position on.
pub(crate) async fn delete_chunks(c: &mut Conn, id: Id, from: i32) -> QueryResult<usize> {
    let target = attachment_chunks::table
        .filter(attachment_chunks::attachment_id.eq(id))
        .filter(attachment_chunks::position.ge(from));
    diesel::delete(target).execute(c).await
}

/// Removes uploads without content.
pub(crate) async fn delete_all(c: &mut Conn, ids: Vec<Id>) -> QueryResult<usize> {
    let target = attachments::table
        .filter(attachments::id.eq_any(ids))
        .filter(attachments::message_id.is_null());
    diesel::delete(target).execute(c).await
}
