//! Outcomes of hand-overs, in batches.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Id;
use crate::fragments::counting::RewriteRow;
use crate::rows::message::MessageRow;
use crate::rows::message_event::NewDeliveryEventRow;
use crate::schema::{conversations, deliveries, message_events, messages};

/// Reads the users of those conversations that are not being deleted.
pub(crate) async fn users(
    c: &mut Conn,
    owner: &str,
    ids: Vec<Id>,
) -> QueryResult<Vec<(Id, String)>> {
    conversations::table
        .filter(conversations::id.eq_any(ids))
        .filter(conversations::owner.eq(owner.to_owned()))
        .filter(conversations::deleted_at.is_null())
        .select((conversations::id, conversations::user_label))
        .load(c)
        .await
}

/// Locks by id, and skips rows that another transaction has locked. The caller has the conversation locks.
pub(crate) async fn lock(c: &mut Conn, owner: &str, ids: Vec<Id>) -> QueryResult<Vec<MessageRow>> {
    skipping_locked!(
        messages::table
            .filter(messages::id.eq_any(ids))
            .filter(messages::owner.eq(owner.to_owned()))
            .select(MessageRow::as_select())
    )
    .load(c)
    .await
}

/// Ends claimed deliveries of this attempt; returns which, and the queue that each was the first of.
pub(crate) async fn finish(
    c: &mut Conn,
    owner: &str,
    ids: Vec<Id>,
    attempt: i32,
) -> QueryResult<Vec<(Id, Option<(Id, i64)>)>> {
    let target = deliveries::table
        .filter(deliveries::message_id.eq_any(ids))
        .filter(deliveries::owner.eq(owner.to_owned()))
        .filter(deliveries::attempt.eq(attempt))
        .filter(deliveries::state.eq("claimed"));
    let ended: Vec<(Id, Id, i64, bool)> = diesel::delete(target)
        .returning((
            deliveries::message_id,
            deliveries::conversation_id,
            deliveries::generation,
            deliveries::blocked,
        ))
        .get_results(c)
        .await?;
    let queue = |(message, conversation, generation, blocked): (_, _, _, bool)| {
        (message, (!blocked).then_some((conversation, generation)))
    };
    Ok(ended.into_iter().map(queue).collect())
}

/// Writes messages back, each if it has the version that was read; returns whether all of them had.
pub(crate) async fn rewrite(c: &mut Conn, owner: &str, rows: &[RewriteRow]) -> QueryResult<bool> {
    let written = for_each!(c, rows, |c, row| {
        let target = messages::table
            .filter(messages::id.eq(row.id))
            .filter(messages::owner.eq(owner))
            .filter(messages::version.eq(row.found_version));
        write_counted!(
            c,
            diesel::update(target).set(row.change.clone()),
            &row.deltas
        )
    })?;
    Ok(written.into_iter().all(|written| written))
}

pub(crate) async fn append_events(
    c: &mut Conn,
    rows: &[NewDeliveryEventRow],
) -> QueryResult<usize> {
    insert_all!(c, rows, |some| diesel::insert_into(message_events::table)
        .values(some))
}
