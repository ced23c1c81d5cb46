//! Imports of old conversations: their progress, and their inserts, many rows at a time.

use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::{Id, Instant};
use crate::rows::conversation::ConversationRow;
use crate::rows::import::{ComparableRow, ImportRow};
use crate::rows::message::MessageRow;
use crate::schema::{conversations, imports, messages};

/// Reads the conversations with these external ids, each with how many of its messages were imported, if it was part of
/// an import.
pub(crate) async fn existing(
    c: &mut Conn,
    owner: &str,
    external_ids: Vec<String>,
) -> QueryResult<Vec<(ConversationRow, Option<i64>)>> {
    conversations::table
        .left_join(imports::table.on(imports::conversation_id.eq(conversations::id)))
        .filter(conversations::owner.eq(owner.to_owned()))
        .filter(conversations::external_id.eq_any(external_ids))
        .filter(conversations::deleted_at.is_null())
        .select((ConversationRow::as_select(), imports::messages.nullable()))
        .load(c)
        .await
}

/// Reads how many messages of a conversation were imported.
pub(crate) async fn progress(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
) -> QueryResult<Option<i64>> {
    imports::table
        .filter(imports::conversation_id.eq(conversation))
        .filter(imports::owner.eq(owner))
        .select(imports::messages)
        .get_result(c)
        .await
        .optional()
}

/// Reads the messages of a conversation that were created at these times.
pub(crate) async fn created_at(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    times: Vec<Instant>,
) -> QueryResult<Vec<ComparableRow>> {
    messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::owner.eq(owner.to_owned()))
        .filter(messages::created_at.eq_any(times))
        .select(ComparableRow::as_select())
        .load(c)
        .await
}

/// Inserts conversations; returns how many: fewer if the pair or the external id of one is taken.
pub(crate) async fn insert_conversations(
    c: &mut Conn,
    rows: &[ConversationRow],
) -> QueryResult<usize> {
    insert_all!(c, rows, |some| {
        diesel::insert_into(conversations::table)
            .values(some)
            .on_conflict_do_nothing()
    })
}

pub(crate) async fn insert_messages(c: &mut Conn, rows: &[MessageRow]) -> QueryResult<()> {
    insert_all!(c, rows, |some| {
        diesel::insert_into(messages::table).values(some)
    })
    .map(|_| ())
}

/// Records the progress.
pub(crate) async fn set_progress(c: &mut Conn, rows: &[ImportRow]) -> QueryResult<()> {
    insert_all!(c, rows, |some| {
        diesel::insert_into(imports::table)
            .values(some)
            .on_conflict(imports::conversation_id)
            .do_update()
            .set(imports::messages.eq(excluded(imports::messages)))
    })
    .map(|_| ())
}
