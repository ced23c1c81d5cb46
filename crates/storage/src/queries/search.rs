//! The search index. The statements that search, and that write the index, differ per database: see `backend`.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Id;
use crate::rows::conversation::ConversationRow;
use crate::rows::search::{SearchPendingRow, SourceRow};
use crate::schema::{conversations, messages, search_pending, search_state};

/// Reads the newest messages of a conversation below a sequence.
pub(crate) async fn sources(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    below: i64,
    limit: i64,
) -> QueryResult<Vec<SourceRow>> {
    messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::owner.eq(owner))
        .filter(messages::sequence.lt(below))
        .order(messages::sequence.desc())
        .limit(limit)
        .select(SourceRow::as_select())
        .load(c)
        .await
}

/// Reads the sequence below which messages of a conversation are not yet indexed with its current title and user.
pub(crate) async fn pending(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
) -> QueryResult<Option<i64>> {
    search_pending::table
        .filter(search_pending::conversation_id.eq(conversation))
        .filter(search_pending::owner.eq(owner))
        .select(search_pending::below)
        .get_result(c)
        .await
        .optional()
}

/// Reads some such conversations of the whole installation.
pub(crate) async fn some_pending(c: &mut Conn, limit: i64) -> QueryResult<Vec<SearchPendingRow>> {
    search_pending::table
        .order(search_pending::conversation_id)
        .limit(limit)
        .select(SearchPendingRow::as_select())
        .load(c)
        .await
}

pub(crate) async fn add_pending(c: &mut Conn, row: &SearchPendingRow) -> QueryResult<()> {
    diesel::insert_into(search_pending::table)
        .values(row.clone())
        .on_conflict(search_pending::conversation_id)
        .do_update()
        .set(search_pending::below.eq(row.below))
        .execute(c)
        .await
        .map(|_| ())
}

pub(crate) async fn delete_pending(c: &mut Conn, owner: &str, conversation: Id) -> QueryResult<()> {
    let target = search_pending::table
        .filter(search_pending::conversation_id.eq(conversation))
        .filter(search_pending::owner.eq(owner));
    diesel::delete(target).execute(c).await.map(|_| ())
}

/// Reads the edition of the index of the whole installation.
pub(crate) async fn made_by(c: &mut Conn) -> QueryResult<String> {
    search_state::table
        .select(search_state::made_by)
        .get_result(c)
        .await
}

pub(crate) async fn set_made_by(c: &mut Conn, made_by: &str) -> QueryResult<()> {
    diesel::update(search_state::table)
        .set(search_state::made_by.eq(made_by))
        .execute(c)
        .await
        .map(|_| ())
}

/// Locks some conversations of the whole installation after one of them.
pub(crate) async fn lock_some(
    c: &mut Conn,
    after: Option<Id>,
    limit: i64,
) -> QueryResult<Vec<ConversationRow>> {
    let mut ids = conversations::table.into_boxed::<super::Db>();
    if let Some(after) = after {
        ids = ids.filter(conversations::id.gt(after));
    }
    let ids: Vec<Id> = ids
        .order(conversations::id)
        .limit(limit)
        .select(conversations::id)
        .load(c)
        .await?;
    let mut locked = Vec::with_capacity(ids.len());
    for id in ids {
        // One by one, in the order of their ids: that is the order of the locks.
        let row: Option<ConversationRow> = locked!(
            conversations::table
                .filter(conversations::id.eq(id))
                .select(ConversationRow::as_select()),
            conversation lock on "conversations.id"
        )
        .get_result(c)
        .await
        .optional()?;
        locked.extend(row);
    }
    Ok(locked)
}

/// Counts the messages of the whole installation.
pub(crate) async fn count_messages(c: &mut Conn) -> QueryResult<i64> {
    messages::table.count().get_result(c).await
}
