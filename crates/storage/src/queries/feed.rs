//! The change feed, of the whole installation. The statements that read it differ per database: see `backend`.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fields::Xid;
use crate::fragments::prepared::prepared;
use crate::rows::feed::{NewFeedRow, StateRow};
use crate::schema::{feed, feed_state};

pub(crate) async fn state(c: &mut Conn) -> QueryResult<StateRow> {
    feed_state::table
        .select(StateRow::as_select())
        .get_result(c)
        .await
}

/// Locks the row, so that one instance prunes at a time.
pub(crate) async fn lock_state(c: &mut Conn) -> QueryResult<StateRow> {
    locked!(feed_state::table.select(StateRow::as_select()))
        .get_result(c)
        .await
}

pub(crate) async fn append(c: &mut Conn, row: &NewFeedRow) -> QueryResult<()> {
    diesel::insert_into(feed::table)
        .values(row.clone())
        .execute(c)
        .await
        .map(|_| ())
}

pub(crate) async fn append_all(c: &mut Conn, rows: &[NewFeedRow]) -> QueryResult<()> {
    insert_all!(c, rows, |some| {
        diesel::insert_into(feed::table).values(some)
    })
    .map(|_| ())
}

/// Records that there are no stale events any more.
pub(crate) async fn clear_stale(c: &mut Conn) -> QueryResult<()> {
    let none = feed_state::stale_id.eq(None::<i64>);
    prepared(diesel::update(feed_state::table).set(none))
        .execute(c)
        .await
        .map(|_| ())
}

/// Records up to where the feed has been pruned.
pub(crate) async fn set_pruned(c: &mut Conn, xid: Xid, id: i64) -> QueryResult<()> {
    prepared(
        diesel::update(feed_state::table)
            .set((feed_state::pruned_xid.eq(xid), feed_state::pruned_id.eq(id))),
    )
    .execute(c)
    .await
    .map(|_| ())
}
