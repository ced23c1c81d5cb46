//! The change feed on Postgres.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel_async::RunQueryDsl;

use super::dialect::{Conn, Db};
use crate::fields::sql::{TransactionId, Uid};
use crate::fields::{Id, Xid};
use crate::fragments::keyset::{after, up_to};
use crate::fragments::paged::Paged;
use crate::fragments::prepared::prepared;
use crate::model::feed::{FeedStart, Position, Snapshot};
use crate::rows::feed::{FeedHeadRow, FeedRow, StateRow};
use crate::schema::{feed, feed_state};

/// Reads the state of the feed, and a position that is after every event that can be read by now.
pub(crate) async fn feed_state(c: &mut Conn) -> QueryResult<(StateRow, Position)> {
    let state = feed_state::table.select((
        StateRow::as_select(),
        sql::<TransactionId>("pg_snapshot_xmax(pg_current_snapshot())"),
    ));
    let (state, xmax): (StateRow, Xid) = prepared(state).get_result(c).await?;
    let end = Position { xid: xmax.0, id: 0 };
    Ok((state, end))
}

/// Reads what follows a position, and the oldest transaction that still ran when it was read, in one snapshot.
pub(crate) async fn feed_heads(
    c: &mut Conn,
    from: Position,
    limit: i64,
) -> QueryResult<(Vec<FeedHeadRow>, Option<Xid>)> {
    let heads = feed::table
        .filter(after((feed::xid, feed::id), position_sql(from)))
        .filter(is_current())
        .order((feed::xid, feed::id))
        .select((
            FeedHeadRow::as_select(),
            sql::<TransactionId>("pg_snapshot_xmin(pg_current_snapshot())"),
        ));
    let rows: Vec<(FeedHeadRow, Xid)> = prepared(Paged::new(heads, limit)).load(c).await?;
    let horizon = rows.as_slice().first().map(|(_, xmin)| *xmin);
    Ok((rows.into_iter().map(|(row, _)| row).collect(), horizon))
}

/// Reads the events between two positions, of one owner or of all.
pub(crate) async fn feed_between(
    c: &mut Conn,
    (from, last): (Position, Position),
    owner: Option<&str>,
) -> QueryResult<Vec<FeedRow>> {
    let mut events = feed::table
        .filter(after((feed::xid, feed::id), position_sql(from)))
        .filter(is_current())
        .filter(up_to((feed::xid, feed::id), position_sql(last)))
        .into_boxed::<Db>();
    if let Some(owner) = owner {
        events = events.filter(feed::owner.eq(owner.to_owned()));
    }
    events
        .order((feed::xid, feed::id))
        .select(FeedRow::as_select())
        .load(c)
        .await
}

/// Returns where a reader starts that wants only what is committed from now on.
pub(crate) async fn feed_now(c: &mut Conn) -> QueryResult<FeedStart> {
    let text: String = diesel::select(sql::<Text>("pg_current_snapshot()::text"))
        .get_result(c)
        .await?;
    let snapshot = Snapshot::parse(&text).ok_or_else(|| {
        diesel::result::Error::DeserializationError(format!("snapshot {text}").into())
    })?;
    Ok(FeedStart {
        position: Position {
            xid: snapshot.xmin(),
            id: 0,
        },
        seen: Some(snapshot),
    })
}

/// Begins a new feed epoch: all earlier cursors are invalid, and all earlier events are stale. Writers are locked out
/// meanwhile, so that none commits an event with an earlier id. Runs within a transaction that has locked the feed's
/// state.
pub(crate) async fn feed_begin_epoch(c: &mut Conn) -> QueryResult<()> {
    let statements = [
        // Writers queue behind the lock, so the wait for it is bounded.
        "SET LOCAL lock_timeout = '2s'",
        "LOCK TABLE feed IN SHARE ROW EXCLUSIVE MODE",
        "UPDATE feed_state SET epoch = GREATEST(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint), \
            pruned_xid = pg_snapshot_xmin(pg_current_snapshot()), pruned_id = 0, \
            stale_id = COALESCE(pg_sequence_last_value(pg_get_serial_sequence('feed', 'id')::regclass), 0)",
    ];
    for statement in statements {
        diesel::sql_query(statement).execute(c).await?;
    }
    Ok(())
}

/// Removes some stale events; returns how many.
pub(crate) async fn feed_delete_stale(
    c: &mut Conn,
    through: i64,
    limit: i64,
) -> QueryResult<usize> {
    let statement = diesel::sql_query(
        "DELETE FROM feed WHERE (xid, id) IN ( \
            SELECT xid, id FROM feed WHERE id <= $1 ORDER BY xid, id LIMIT $2)",
    );
    let statement = statement
        .bind::<BigInt, _>(through)
        .bind::<BigInt, _>(limit);
    prepared(statement).execute(c).await
}

pub(crate) async fn feed_delete_up_to(c: &mut Conn, last: Position) -> QueryResult<usize> {
    diesel::delete(feed::table.filter(up_to((feed::xid, feed::id), position_sql(last))))
        .execute(c)
        .await
}

/// A stale event belongs to an earlier epoch and has not been removed yet.
fn is_current() -> diesel::expression::SqlLiteral<Bool> {
    sql("id > COALESCE((SELECT stale_id FROM feed_state), 0)")
}

fn position_sql(
    position: Position,
) -> (
    diesel::dsl::AsExprOf<Xid, TransactionId>,
    diesel::dsl::AsExprOf<i64, BigInt>,
) {
    (
        Xid(position.xid).into_sql::<TransactionId>(),
        position.id.into_sql::<BigInt>(),
    )
}

/// Scrubs up to `limit` copies of these messages; returns how many.
pub(crate) async fn scrub_messages(
    c: &mut Conn,
    owner: &str,
    messages: &[Id],
    limit: i64,
) -> QueryResult<usize> {
    let scrub = diesel::sql_query(
        "UPDATE feed SET payload = NULL WHERE ctid = ANY (ARRAY( \
            SELECT ctid FROM feed WHERE message_id = ANY ($1) AND owner = $2 \
            AND payload IS NOT NULL LIMIT $3))",
    );
    let scrub = scrub
        .bind::<Array<Uid>, _>(messages)
        .bind::<Text, _>(owner)
        .bind::<BigInt, _>(limit);
    prepared(scrub).execute(c).await
}

/// Scrubs up to `limit` copies of a conversation itself; returns how many.
pub(crate) async fn scrub_conversation(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    limit: i64,
) -> QueryResult<usize> {
    let scrub = diesel::sql_query(
        "UPDATE feed SET payload = NULL WHERE ctid = ANY (ARRAY( \
            SELECT ctid FROM feed WHERE conversation_id = $1 AND message_id IS NULL AND owner = $2 \
            AND payload IS NOT NULL LIMIT $3))",
    );
    let scrub = scrub
        .bind::<Uid, _>(conversation)
        .bind::<Text, _>(owner)
        .bind::<BigInt, _>(limit);
    prepared(scrub).execute(c).await
}
