//! Conversations. One that is being deleted is visible only to `hidden` and `remove_hidden`.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::RunQueryDsl;

use super::{Conn, Db};
use crate::fields::sql::{TimestampColumn, Uid};
use crate::fields::{Id, Instant};
use crate::fragments::counting::Deltas;
use crate::fragments::keyset::after as behind;
use crate::fragments::prepared::prepared;
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

/// Reads the conversation of a pair of addresses that is not closed.
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

/// Locks by id: the first lock of every write that depends on the conversation or its sequence.
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
        conversation lock on "conversations.id"
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
        conversation lock on "conversations.id"
    )
    .get_result(c)
    .await
    .optional()
}

/// Locks by external id.
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
        conversation lock on "conversations.id"
    )
    .get_result(c)
    .await
    .optional()
}

/// Inserts the row; `false` if its pair or its external id is taken.
pub(crate) async fn insert(
    c: &mut Conn,
    row: &ConversationRow,
    deltas: &Deltas,
) -> QueryResult<bool> {
    let statement = diesel::insert_into(conversations::table)
        .values(row.clone())
        .on_conflict_do_nothing();
    write_counted!(c, statement, deltas)
}

/// Writes the row back if it still has the version that was read.
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
    write_counted!(c, diesel::update(target).set(change.clone()), deltas)
}

/// Hides it from every reader, before its messages are removed. Returns the row as it then was.
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

/// Reads conversations of the whole installation that were hidden before `since` and not removed: interrupted
/// deletions.
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

/// Reads conversations of the whole installation without messages that were last active before `before`, oldest first,
/// after a position.
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
        let values = (
            active_at.into_sql::<TimestampColumn>(),
            id.into_sql::<Uid>(),
        );
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

/// Removes a hidden conversation after its messages.
pub(crate) async fn remove_hidden(c: &mut Conn, owner: &str, id: Id) -> QueryResult<bool> {
    let target = conversations::table
        .filter(conversations::id.eq(id))
        .filter(conversations::owner.eq(owner))
        .filter(conversations::deleted_at.is_not_null());
    Ok(diesel::delete(target).execute(c).await? == 1)
}
