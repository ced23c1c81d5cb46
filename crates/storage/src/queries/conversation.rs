//! Conversations. One that is being deleted is invisible to all but the last two statements.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::RunQueryDsl;

use super::{Conn, Db};
use crate::counting::Deltas;
use crate::fields::sql::{Moment, Uid};
use crate::fields::{Id, Instant};
use crate::keyset::after as behind;
use crate::prepared::prepared;
use crate::rows::conversation::{ConversationChange, ConversationRow};
use crate::schema::conversations;

pub(crate) async fn get(c: &mut Conn, owner: &str, id: Id) -> QueryResult<Option<ConversationRow>> {
    conversations::table
        .filter(conversations::id.eq(id))
        .filter(conversations::owner.eq(owner))
        .filter(conversations::deleted_at.is_null())
        .select(ConversationRow::as_select())
        .get_result(c)
        .await
        .optional()
}

pub(crate) async fn by_external_id(
    c: &mut Conn,
    owner: &str,
    external: &str,
) -> QueryResult<Option<ConversationRow>> {
    conversations::table
        .filter(conversations::owner.eq(owner))
        .filter(conversations::external_id.eq(external))
        .filter(conversations::deleted_at.is_null())
        .select(ConversationRow::as_select())
        .get_result(c)
        .await
        .optional()
}

/// The conversation of a pair of addresses that is not closed.
pub(crate) async fn by_pair(
    c: &mut Conn,
    owner: &str,
    channel: &str,
    from: &str,
    to: &str,
) -> QueryResult<Option<ConversationRow>> {
    conversations::table
        .filter(conversations::owner.eq(owner))
        .filter(conversations::channel.eq(channel))
        .filter(conversations::participant_from.eq(from))
        .filter(conversations::participant_to.eq(to))
        .filter(conversations::status.ne("closed"))
        .filter(conversations::channel.ne("chat"))
        .filter(conversations::deleted_at.is_null())
        .select(ConversationRow::as_select())
        .get_result(c)
        .await
        .optional()
}

/// Locks by id: the first lock of every write that has to do with the conversation or a place in it.
pub(crate) async fn lock(
    c: &mut Conn,
    owner: &str,
    id: Id,
) -> QueryResult<Option<ConversationRow>> {
    locked!(
        conversations::table
            .filter(conversations::id.eq(id))
            .filter(conversations::owner.eq(owner))
            .filter(conversations::deleted_at.is_null())
            .select(ConversationRow::as_select()),
        in turn of "conversations.id"
    )
    .get_result(c)
    .await
    .optional()
}

/// Locks the conversation of a pair of addresses that is not closed.
pub(crate) async fn lock_pair(
    c: &mut Conn,
    owner: &str,
    channel: &str,
    from: &str,
    to: &str,
) -> QueryResult<Option<ConversationRow>> {
    locked!(
        conversations::table
            .filter(conversations::owner.eq(owner))
            .filter(conversations::channel.eq(channel))
            .filter(conversations::participant_from.eq(from))
            .filter(conversations::participant_to.eq(to))
            .filter(conversations::status.ne("closed"))
            .filter(conversations::channel.ne("chat"))
            .filter(conversations::deleted_at.is_null())
            .select(ConversationRow::as_select()),
        in turn of "conversations.id"
    )
    .get_result(c)
    .await
    .optional()
}

/// Locks by the owner's own name for it.
pub(crate) async fn lock_external_id(
    c: &mut Conn,
    owner: &str,
    external: &str,
) -> QueryResult<Option<ConversationRow>> {
    locked!(
        conversations::table
            .filter(conversations::owner.eq(owner))
            .filter(conversations::external_id.eq(external))
            .filter(conversations::deleted_at.is_null())
            .select(ConversationRow::as_select()),
        in turn of "conversations.id"
    )
    .get_result(c)
    .await
    .optional()
}

/// Whether it was inserted; `false` if its pair or its external id is taken.
pub(crate) async fn insert(
    c: &mut Conn,
    row: &ConversationRow,
    deltas: &Deltas,
) -> QueryResult<bool> {
    let statement = diesel::insert_into(conversations::table)
        .values(row.clone())
        .on_conflict_do_nothing();
    written!(c, statement, deltas)
}

/// Writes the row back if it still is the one that was read.
pub(crate) async fn update(
    c: &mut Conn,
    owner: &str,
    id: Id,
    found_version: i64,
    change: &ConversationChange,
    deltas: &Deltas,
) -> QueryResult<bool> {
    let target = conversations::table
        .filter(conversations::id.eq(id))
        .filter(conversations::owner.eq(owner))
        .filter(conversations::version.eq(found_version))
        .filter(conversations::deleted_at.is_null());
    written!(c, diesel::update(target).set(change.clone()), deltas)
}

/// Hides it: gone for every reader, before its messages are removed. The row as it then was.
pub(crate) async fn hide(
    c: &mut Conn,
    owner: &str,
    id: Id,
    now: Instant,
) -> QueryResult<Option<ConversationRow>> {
    let target = conversations::table
        .filter(conversations::id.eq(id))
        .filter(conversations::owner.eq(owner))
        .filter(conversations::deleted_at.is_null());
    prepared(
        diesel::update(target)
            .set(conversations::deleted_at.eq(Some(now)))
            .returning(ConversationRow::as_select()),
    )
    .get_result(c)
    .await
    .optional()
}

/// Those that were hidden before `since` and are still there, of the whole installation: a deletion that was cut off.
pub(crate) async fn hidden(
    c: &mut Conn,
    since: Instant,
    limit: i64,
) -> QueryResult<Vec<ConversationRow>> {
    conversations::table
        .filter(conversations::deleted_at.lt(Some(since)))
        .order(conversations::deleted_at)
        .limit(limit)
        .select(ConversationRow::as_select())
        .load(c)
        .await
}

/// Of the whole installation: those without messages that were last active before a moment, oldest first, after a place.
pub(crate) async fn empty(
    c: &mut Conn,
    before: Instant,
    after: Option<(Instant, Id)>,
    limit: i64,
) -> QueryResult<Vec<ConversationRow>> {
    let mut query = conversations::table
        .filter(sql::<Bool>("message_count = 0"))
        .filter(conversations::deleted_at.is_null())
        .filter(conversations::active_at.lt(before))
        .into_boxed::<Db>();
    if let Some((active_at, id)) = after {
        let values = (active_at.into_sql::<Moment>(), id.into_sql::<Uid>());
        query = query.filter(behind(
            (conversations::active_at, conversations::id),
            values,
        ));
    }
    query
        .order((conversations::active_at, conversations::id))
        .limit(limit)
        .select(ConversationRow::as_select())
        .load(c)
        .await
}

/// Removes a hidden one whose messages are gone.
pub(crate) async fn remove_hidden(c: &mut Conn, owner: &str, id: Id) -> QueryResult<bool> {
    let target = conversations::table
        .filter(conversations::id.eq(id))
        .filter(conversations::owner.eq(owner))
        .filter(conversations::deleted_at.is_not_null());
    Ok(diesel::delete(target).execute(c).await? == 1)
}
