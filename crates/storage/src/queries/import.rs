//! Imports of old conversations: how far they have come, and what they write, many rows at a time.

use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::{Id, Instant};
use crate::rows::conversation::ConversationRow;
use crate::rows::import::{ImportRow, LikenessRow};
use crate::rows::message::MessageRow;
use crate::schema::{conversations, imports, messages};

/// The conversations of these names, each with how many of its messages were imported, if any import had to do with it.
pub(crate) async fn known(
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

/// How many messages of a conversation were imported.
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

/// Messages of a conversation that were made then.
pub(crate) async fn alike(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    times: Vec<Instant>,
) -> QueryResult<Vec<LikenessRow>> {
    messages::table
        .filter(messages::conversation_id.eq(conversation))
        .filter(messages::owner.eq(owner.to_owned()))
        .filter(messages::created_at.eq_any(times))
        .select(LikenessRow::as_select())
        .load(c)
        .await
}

/// How many were inserted; fewer if the pair or the external id of one is taken.
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

/// Notes how far they have come.
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
