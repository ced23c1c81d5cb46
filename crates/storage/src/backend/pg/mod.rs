//! Postgres.

#[macro_use]
mod dialect;
mod feed;
#[path = "../../queries/mod.rs"]
pub(crate) mod queries;
mod queues;
mod search;

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AnsiTransactionManager, RunQueryDsl, TransactionManager};

pub(crate) use self::dialect::Conn;
pub(crate) use self::feed::{
    feed_begin_epoch, feed_between, feed_delete_stale, feed_delete_up_to, feed_heads, feed_now,
    feed_state, scrub_conversation, scrub_messages,
};
pub(crate) use self::queues::{try_conversation_locks, unblock_queues};
pub(crate) use self::search::{index, index_and_append, index_new, search};

use crate::fields::sql::{TimestampColumn, TransactionId, Uid};
use crate::fields::{Instant, Xid};
use crate::fragments::prepared::prepared;
use crate::model::feed::FeedProgress;
use crate::rows::cache::{NewPendingRow, RenewalRow, RenewedRow};
use crate::rows::installation::IdentityRow;
use crate::schema::{AgingTable, cache_pending};

pub(crate) async fn begin(c: &mut Conn) -> QueryResult<()> {
    <AnsiTransactionManager as TransactionManager<Conn>>::begin_transaction(c).await
}

/// Begins a transaction in which all statements read the snapshot of the first.
pub(crate) async fn begin_snapshot(c: &mut Conn) -> QueryResult<()> {
    AnsiTransactionManager::begin_transaction_sql(
        c,
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    )
    .await
}

pub(crate) async fn commit(c: &mut Conn) -> QueryResult<()> {
    <AnsiTransactionManager as TransactionManager<Conn>>::commit_transaction(c).await
}

pub(crate) async fn rollback(c: &mut Conn) -> QueryResult<()> {
    <AnsiTransactionManager as TransactionManager<Conn>>::rollback_transaction(c).await
}

/// Makes the pool close the connection, whatever its state.
pub(crate) fn distrust(c: &mut Conn) {
    <AnsiTransactionManager as TransactionManager<Conn>>::transaction_manager_status_mut(c)
        .set_in_error();
}

/// Renewal. Every instance runs it twice a second, so it is one statement. The epoch's row is locked in shared mode
/// until the commit: an instance that records another epoch waits, and reads the clock only then, so that a renewal is
/// under an epoch that is in force or has no effect.
const RENEW: &str = concat!(
    "WITH epoch AS ( \
        SELECT number, remote, recorded_at + $4 * interval '1 microsecond' <= clock_timestamp() AS in_force, database = ",
    server_sql!(),
    " AS known FROM cache_epoch FOR SHARE \
    ), renewed AS ( \
        INSERT INTO cache_instances (id, memory, shared, alive_until, serves_until) \
        SELECT $1, false, true, clock_timestamp() + $3 * interval '1 microsecond', \
            clock_timestamp() + $4 * interval '1 microsecond' \
        FROM epoch WHERE remote = $2 AND known AND in_force \
        ON CONFLICT (id) DO UPDATE \
        SET alive_until = excluded.alive_until, serves_until = excluded.serves_until \
        RETURNING id \
    ), deleted AS ( \
        DELETE FROM cache_pending WHERE EXISTS (SELECT FROM renewed) AND id IN ( \
            SELECT id FROM cache_pending WHERE retired ORDER BY id LIMIT $5 FOR UPDATE SKIP LOCKED) \
    ) \
    SELECT number, remote, known, EXISTS (SELECT FROM renewed) AS renewed FROM epoch"
);

/// Renews the right of an instance to serve, if the epoch allows it.
pub(crate) async fn renew_cache(c: &mut Conn, renewal: &RenewalRow) -> QueryResult<RenewedRow> {
    use diesel::sql_types::BigInt;
    let statement = diesel::sql_query(RENEW)
        .bind::<Uid, _>(renewal.id)
        .bind::<Text, _>(&renewal.remote)
        .bind::<BigInt, _>(renewal.alive)
        .bind::<BigInt, _>(renewal.serve)
        .bind::<BigInt, _>(renewal.retired_limit);
    prepared(statement).get_result(c).await
}

/// Adds keys that wait to be released, in one statement, since a write waits for it.
pub(crate) async fn add_pending(c: &mut Conn, rows: &[NewPendingRow]) -> QueryResult<()> {
    diesel::insert_into(cache_pending::table)
        .values(rows.to_vec())
        .execute(c)
        .await
        .map(|_| ())
}

/// Folds deltas. Deltas that another instance is folding are skipped. They are identified by `ctid`, since the table
/// has no index. The totals are locked in one order, so that two instances that fold do not deadlock.
const FOLD: &str = "\
    WITH gone AS ( \
        DELETE FROM stat_deltas WHERE ctid = ANY (ARRAY( \
            SELECT ctid FROM stat_deltas LIMIT $1 FOR UPDATE SKIP LOCKED)) \
        RETURNING * \
    ), both_levels AS ( \
        SELECT owner, '' AS user_label, what, channel, status, items, unread_items, unread, tokens FROM gone \
        UNION ALL \
        SELECT owner, user_label, what, channel, status, items, unread_items, unread, tokens FROM gone \
        WHERE user_label <> '' \
    ), folded AS ( \
        INSERT INTO stat_totals AS t (owner, user_label, what, channel, status, items, unread_items, unread, tokens) \
        SELECT owner, user_label, what, channel, status, sum(items), sum(unread_items), sum(unread), sum(tokens) \
        FROM both_levels GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5 \
        ON CONFLICT (owner, user_label, what, channel, status) DO UPDATE SET items = t.items + excluded.items, \
            unread_items = t.unread_items + excluded.unread_items, unread = t.unread + excluded.unread, \
            tokens = t.tokens + excluded.tokens \
    ) \
    SELECT count(*) AS rows FROM gone";

/// Folds up to `limit` deltas into the totals; returns how many.
pub(crate) async fn fold_counters(c: &mut Conn, limit: i64) -> QueryResult<usize> {
    use diesel::sql_types::BigInt;
    #[derive(QueryableByName)]
    struct Folded {
        #[diesel(sql_type = BigInt)]
        rows: i64,
    }
    let statement = diesel::sql_query(FOLD).bind::<BigInt, _>(limit);
    let Folded { rows } = prepared(statement).get_result(c).await?;
    Ok(usize::try_from(rows).unwrap_or_default())
}

/// Removes up to `limit` rows that are older than `before`; returns how many. Rows are identified by `ctid`, since the
/// key has several columns.
pub(crate) async fn delete_aged(
    c: &mut Conn,
    AgingTable { table, time }: AgingTable,
    before: Instant,
    limit: i64,
) -> QueryResult<usize> {
    let delete = diesel::sql_query(format!(
        "DELETE FROM {table} WHERE ctid = ANY (ARRAY( \
            SELECT ctid FROM {table} WHERE {time} < $1 ORDER BY {time} LIMIT $2 FOR UPDATE SKIP LOCKED))"
    ));
    let delete = delete
        .bind::<TimestampColumn, _>(before)
        .bind::<diesel::sql_types::BigInt, _>(limit);
    prepared(delete).execute(c).await
}

/// Transaction ids only grow. If events have later ids than the server assigns, they were restored into it; if this
/// process has read later ids, an earlier state of the database was restored.
const IDENTITY: &str = concat!(
    "SELECT i.database AS recorded, ",
    identity_sql!(),
    " AS present, s.epoch, (s.stale_id IS NULL AND pg_snapshot_xmax(pg_current_snapshot()) < GREATEST(s.pruned_xid, \
        (SELECT xid FROM feed ORDER BY xid DESC, id DESC LIMIT 1)) \
        OR s.epoch < $1 OR s.epoch = $1 AND pg_snapshot_xmax(pg_current_snapshot()) < $2) AS behind FROM installation i, feed_state s"
);

/// Reads the identity of the database as it was recorded last and as it is now.
pub(crate) async fn read_identity(c: &mut Conn, seen: FeedProgress) -> QueryResult<IdentityRow> {
    let present = diesel::sql_query(IDENTITY)
        .bind::<diesel::sql_types::BigInt, _>(seen.epoch)
        .bind::<TransactionId, _>(Xid(seen.position.xid));
    prepared(present).get_result(c).await
}
