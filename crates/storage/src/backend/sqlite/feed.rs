//! The change feed on SQLite.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use super::dialect::{Conn, Db};
use super::queries;
use crate::fields::sql::Uid;
use crate::fields::{Id, Xid};
use crate::fragments::prepared::prepared;
use crate::model::feed::{FeedStart, Position};
use crate::rows::feed::{FeedHeadRow, FeedRow, StateRow};
use crate::schema::{feed, feed_state};

/// Reads the state of the feed, and the position of the last event that was ever written.
pub(crate) async fn feed_state(c: &mut Conn) -> QueryResult<(StateRow, Position)> {
    let state = feed_state::table.select((
        StateRow::as_select(),
        diesel::dsl::sql::<BigInt>(
            "COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'feed'), 0)",
        ),
    ));
    let (state, id): (StateRow, i64) = prepared(state).get_result(c).await?;
    Ok((state, Position { xid: 0, id }))
}

/// Reads what follows a position. One writer: what is visible is final, so there is no horizon.
pub(crate) async fn feed_heads(
    c: &mut Conn,
    from: Position,
    limit: i64,
) -> QueryResult<(Vec<FeedHeadRow>, Option<Xid>)> {
    let rows = feed::table
        .filter(feed::id.gt(from.id))
        .order(feed::id)
        .limit(limit)
        .select(FeedHeadRow::as_select())
        .load(c)
        .await?;
    Ok((rows, None))
}

/// Reads the events between two positions, of one owner or of all.
pub(crate) async fn feed_between(
    c: &mut Conn,
    (from, last): (Position, Position),
    owner: Option<&str>,
) -> QueryResult<Vec<FeedRow>> {
    let mut events = feed::table
        .filter(feed::id.gt(from.id))
        .filter(feed::id.le(last.id))
        .into_boxed::<Db>();
    if let Some(owner) = owner {
        events = events.filter(feed::owner.eq(owner.to_owned()));
    }
    events
        .order(feed::id)
        .select(FeedRow::as_select())
        .load(c)
        .await
}

/// Returns where a reader starts that wants only what is committed from now on.
pub(crate) async fn feed_now(c: &mut Conn) -> QueryResult<FeedStart> {
    let newest: Option<i64> = feed::table
        .select(diesel::dsl::max(feed::id))
        .get_result(c)
        .await?;
    let pruned = queries::feed::state(c).await?.pruned_id;
    Ok(FeedStart {
        position: Position {
            xid: 0,
            id: newest.unwrap_or(0).max(pruned),
        },
        seen: None,
    })
}

/// Begins a new feed epoch: all earlier cursors are invalid, and all earlier events are stale. Runs within a
/// transaction.
pub(crate) async fn feed_begin_epoch(c: &mut Conn) -> QueryResult<()> {
    diesel::sql_query(
        "UPDATE feed_state SET epoch = max(epoch + 1, CAST((julianday('now') - 2440587.5) * 86400000000 AS integer)), \
            pruned_id = max(pruned_id, (SELECT COALESCE(max(id), 0) FROM feed)), \
            stale_id = (SELECT COALESCE(max(id), 0) FROM feed)",
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Removes some stale events; returns how many.
pub(crate) async fn feed_delete_stale(
    c: &mut Conn,
    through: i64,
    limit: i64,
) -> QueryResult<usize> {
    let statement = diesel::sql_query(
        "DELETE FROM feed WHERE id IN (SELECT id FROM feed WHERE id <= ?1 ORDER BY id LIMIT ?2)",
    );
    let statement = statement
        .bind::<BigInt, _>(through)
        .bind::<BigInt, _>(limit);
    prepared(statement).execute(c).await
}

pub(crate) async fn feed_delete_up_to(c: &mut Conn, last: Position) -> QueryResult<usize> {
    diesel::delete(feed::table.filter(feed::id.le(last.id)))
        .execute(c)
        .await
}

const SCRUB_MESSAGE: &str = "\
    UPDATE feed SET payload = NULL WHERE id IN ( \
        SELECT id FROM feed WHERE message_id = ? AND owner = ? AND payload IS NOT NULL LIMIT ?)";

const SCRUB_CONVERSATION: &str = "\
    UPDATE feed SET payload = NULL WHERE id IN ( \
        SELECT id FROM feed WHERE conversation_id = ? AND message_id IS NULL AND owner = ? \
        AND payload IS NOT NULL LIMIT ?)";

/// Scrubs up to `limit` copies of these messages; returns how many. One statement for each message: a statement costs
/// no round trip here.
pub(crate) async fn scrub_messages(
    c: &mut Conn,
    owner: &str,
    messages: &[Id],
    limit: i64,
) -> QueryResult<usize> {
    let mut scrubbed = 0;
    for message in messages {
        let left = limit.saturating_sub(i64::try_from(scrubbed).unwrap_or(i64::MAX));
        let scrub = diesel::sql_query(SCRUB_MESSAGE)
            .bind::<Uid, _>(*message)
            .bind::<Text, _>(owner)
            .bind::<BigInt, _>(left);
        scrubbed += prepared(scrub).execute(c).await?;
    }
    Ok(scrubbed)
}

/// Scrubs up to `limit` copies of a conversation itself; returns how many.
pub(crate) async fn scrub_conversation(
    c: &mut Conn,
    owner: &str,
    conversation: Id,
    limit: i64,
) -> QueryResult<usize> {
    let scrub = diesel::sql_query(SCRUB_CONVERSATION)
        .bind::<Uid, _>(conversation)
        .bind::<Text, _>(owner)
        .bind::<BigInt, _>(limit);
    prepared(scrub).execute(c).await
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;
    use diesel::sql_types::Text;
    use diesel::sqlite::SqliteConnection;
    use diesel_migrations::MigrationHarness as _;

    use super::{SCRUB_CONVERSATION, SCRUB_MESSAGE};

    #[derive(QueryableByName)]
    struct Detail {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    #[test]
    fn scrubbing_reads_only_what_it_clears() {
        let mut c = SqliteConnection::establish(":memory:").unwrap();
        c.run_pending_migrations(crate::migrate::SQLITE).unwrap();
        for (statement, index) in [
            (SCRUB_MESSAGE, "feed_of_message (message_id=?)"),
            (
                SCRUB_CONVERSATION,
                "feed_of_conversation (conversation_id=?)",
            ),
        ] {
            let plan: Vec<Detail> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}"))
                .load(&mut c)
                .unwrap();
            let plan: Vec<&str> = plan.iter().map(|line| line.detail.as_str()).collect();
            assert!(
                plan.iter().any(|line| line.ends_with(index)),
                "{statement}\n{plan:#?}"
            );
        }
    }
}
