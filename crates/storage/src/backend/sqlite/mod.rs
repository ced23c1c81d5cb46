//! SQLite.

#[macro_use]
mod dialect;
mod feed;
#[path = "../../queries/mod.rs"]
pub(crate) mod queries;
mod search;
mod statement;
mod states;

use diesel::prelude::*;
use diesel_async::sync_connection_wrapper::SyncTransactionManagerWrapper;
use diesel_async::{RunQueryDsl, TransactionManager};

pub(crate) use self::dialect::Conn;
pub(crate) use self::feed::{
    feed_begin_epoch, feed_between, feed_delete_stale, feed_delete_up_to, feed_heads, feed_now,
    feed_state, scrub_conversation, scrub_messages,
};
pub(crate) use self::search::{index, index_and_append, index_new, search};

use crate::fields::sql::TimestampColumn;
use crate::fields::{Id, Instant};
use crate::fragments::prepared::prepared;
use crate::model::feed::FeedProgress;
use crate::rows::cache::{NewPendingRow, RenewalRow, RenewedRow};
use crate::rows::installation::IdentityRow;
use crate::schema::{AgingTable, cache_pending};

type Manager = SyncTransactionManagerWrapper<diesel::connection::AnsiTransactionManager>;

/// There is one writer: every conversation lock is free.
pub(crate) async fn try_conversation_locks(
    _: &mut Conn,
    conversations: &[Id],
) -> QueryResult<Vec<Id>> {
    Ok(conversations.to_vec())
}

/// Unblocks the first delivery of each queue; returns whether one was blocked.
pub(crate) async fn unblock_queues(
    c: &mut Conn,
    owner: &str,
    queues: &[(Id, i64)],
) -> QueryResult<bool> {
    let mut freed = false;
    for (conversation, generation) in queues {
        freed |= queries::delivery::unblock_next(c, owner, *conversation, *generation).await?;
    }
    Ok(freed)
}

/// Begins with `IMMEDIATE`: a transaction that reads first and writes later would fail with "database is locked" under
/// another writer, and waiting would not help.
pub(crate) async fn begin(c: &mut Conn) -> QueryResult<()> {
    c.spawn_blocking(|c| {
        diesel::connection::AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE")
    })
    .await
}

/// Begins a transaction in which all statements read the snapshot of the first.
pub(crate) async fn begin_snapshot(c: &mut Conn) -> QueryResult<()> {
    <Manager as TransactionManager<Conn>>::begin_transaction(c).await
}

pub(crate) async fn commit(c: &mut Conn) -> QueryResult<()> {
    <Manager as TransactionManager<Conn>>::commit_transaction(c).await
}

pub(crate) async fn rollback(c: &mut Conn) -> QueryResult<()> {
    <Manager as TransactionManager<Conn>>::rollback_transaction(c).await
}

/// Checkpoints the whole write-ahead log into the database and truncates its file. Gives up soon if a reader takes
/// long, since the next write waits meanwhile; a later call then does it.
pub(crate) async fn empty_log(c: &mut Conn) -> QueryResult<()> {
    use diesel::connection::SimpleConnection as _;
    c.spawn_blocking(|c| {
        c.batch_execute("PRAGMA busy_timeout = 100")?;
        let emptied = c.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)");
        c.batch_execute("PRAGMA busy_timeout = 5000")?;
        emptied
    })
    .await
}

/// Renews the right of an instance to serve, if the epoch allows it: the counterpart of the one statement on Postgres.
/// Runs within a transaction.
pub(crate) async fn renew_cache(c: &mut Conn, renewal: &RenewalRow) -> QueryResult<RenewedRow> {
    let in_force = queries::cache::epoch_in_force(c, renewal.serve).await?;
    let (number, remote, known) = queries::cache::epoch(c).await?;
    let renewed = in_force == Some((number, true)) && remote == renewal.remote;
    if renewed {
        queries::cache::renew(c, renewal.id, false, renewal.alive, renewal.serve).await?;
        delete_retired(c, renewal.retired_limit).await?;
    }
    Ok(RenewedRow {
        number,
        remote,
        known,
        renewed,
    })
}

/// Adds keys that wait to be released, one by each statement: a statement costs no round trip here.
pub(crate) async fn add_pending(c: &mut Conn, rows: &[NewPendingRow]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(cache_pending::table)
            .values(row.clone())
            .execute(c)
            .await?;
    }
    Ok(())
}

async fn delete_retired(c: &mut Conn, limit: i64) -> QueryResult<()> {
    let oldest = cache_pending::table
        .filter(cache_pending::retired)
        .order(cache_pending::id)
        .limit(limit)
        .select(cache_pending::id);
    let oldest: Vec<i64> = oldest.load(c).await?;
    queries::cache::delete_pending(c, oldest).await
}

const FOLD: &str = "\
    INSERT INTO stat_totals (owner, user_label, what, channel, status, items, unread_items, unread, tokens) \
    SELECT owner, CASE WHEN whole THEN '' ELSE user_label END, what, channel, status, sum(items), sum(unread_items), \
        sum(unread), sum(tokens) \
    FROM (SELECT * FROM stat_deltas ORDER BY rowid LIMIT ?1) CROSS JOIN (SELECT true AS whole UNION ALL SELECT false) \
    WHERE whole OR user_label <> '' \
    GROUP BY 1, 2, 3, 4, 5 \
    ON CONFLICT (owner, user_label, what, channel, status) DO UPDATE SET items = items + excluded.items, \
        unread_items = unread_items + excluded.unread_items, unread = unread + excluded.unread, \
        tokens = tokens + excluded.tokens";

const DELETE_FOLDED: &str = "\
    DELETE FROM stat_deltas WHERE rowid IN (SELECT rowid FROM stat_deltas ORDER BY rowid LIMIT ?1)";

/// Folds up to `limit` deltas into the totals; returns how many. Runs within a transaction.
pub(crate) async fn fold_counters(c: &mut Conn, limit: i64) -> QueryResult<usize> {
    use diesel::sql_types::BigInt;
    diesel::sql_query(FOLD)
        .bind::<BigInt, _>(limit)
        .execute(c)
        .await?;
    diesel::sql_query(DELETE_FOLDED)
        .bind::<BigInt, _>(limit)
        .execute(c)
        .await
}

/// Removes up to `limit` rows that are older than `before`; returns how many.
pub(crate) async fn delete_aged(
    c: &mut Conn,
    AgingTable { table, time }: AgingTable,
    before: Instant,
    limit: i64,
) -> QueryResult<usize> {
    let delete = diesel::sql_query(format!(
        "DELETE FROM {table} WHERE rowid IN ( \
            SELECT rowid FROM {table} WHERE {time} < ? ORDER BY {time} LIMIT ?)"
    ));
    let delete = delete
        .bind::<TimestampColumn, _>(before)
        .bind::<diesel::sql_types::BigInt, _>(limit);
    prepared(delete).execute(c).await
}

const IDENTITY: &str = concat!(
    "SELECT i.database AS recorded, ",
    identity_sql!(),
    " AS present, s.epoch, false AS behind FROM installation i, feed_state s"
);

/// Reads the identity of the database as it was recorded last and as it is now. A file is not restored while a process
/// has it open, so what a process has read of the feed proves nothing here.
pub(crate) async fn read_identity(c: &mut Conn, _seen: FeedProgress) -> QueryResult<IdentityRow> {
    prepared(diesel::sql_query(IDENTITY)).get_result(c).await
}

#[cfg(test)]
mod tests {
    use diesel::prelude::*;
    use diesel::sql_types::Text;
    use diesel::sqlite::SqliteConnection;
    use diesel_migrations::MigrationHarness as _;
    use parlance_domain::{Channel, ConversationStatus};
    use uuid::Uuid;

    use super::dialect::Db;
    use super::queries::conversation_lists::first;
    use crate::fields::{Id, Instant};
    use crate::model::conversation::ConversationFilter;

    #[derive(QueryableByName)]
    struct Detail {
        #[diesel(sql_type = Text)]
        detail: String,
    }

    /// Returns the lines of the plan about tables and sorting.
    fn plan(filter: &ConversationFilter) -> Vec<String> {
        let mut c = SqliteConnection::establish(":memory:").unwrap();
        c.run_pending_migrations(crate::migrate::SQLITE).unwrap();
        let statement = first("acme", filter, Some((Instant(0), Id(Uuid::nil()))), 50);
        let text = diesel::debug_query::<Db, _>(&statement).to_string();
        let (text, _) = text.split_once(" -- binds").unwrap();
        let plan: Vec<Detail> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {text}"))
            .load(&mut c)
            .unwrap();
        let lines = plan.into_iter().map(|row| row.detail);
        lines
            .filter(|line| line.contains("conversations") || line.contains("B-TREE"))
            .collect()
    }

    /// Each index returns the rows in their order and starts at the position, and nothing is sorted.
    #[test]
    fn every_filtered_list_uses_its_index() {
        const KIND: [&str; 2] = ["of_kind", "of_kind_and_user"];
        let any = ConversationFilter::default;
        let status = Some(ConversationStatus::Active);
        let channel = Some(Channel::Email);
        let participant = Some("+1".to_owned());
        let theirs = |ours| vec![ours, "theirs"];
        for (filter, indexes) in [
            (any(), [vec!["recent"], vec!["of_user"]]),
            (
                ConversationFilter { status, ..any() },
                KIND.map(|kind| vec![kind; 3]),
            ),
            (
                ConversationFilter { channel, ..any() },
                KIND.map(|kind| vec![kind; 3]),
            ),
            (
                ConversationFilter {
                    channel,
                    status,
                    ..any()
                },
                KIND.map(|kind| vec![kind]),
            ),
            (
                ConversationFilter {
                    unread_only: true,
                    ..any()
                },
                [vec!["unread"], vec!["unread_of_user"]],
            ),
            (
                ConversationFilter {
                    participant,
                    ..any()
                },
                ["ours", "ours_of_user"].map(theirs),
            ),
        ] {
            let user = Some("ana".to_owned());
            let of_user = ConversationFilter {
                user,
                ..filter.clone()
            };
            for (filter, indexes) in [filter, of_user].iter().zip(&indexes) {
                let plan = plan(filter);
                assert_eq!(plan.len(), indexes.len(), "{filter:?} {plan:#?}");
                for (line, index) in plan.iter().zip(indexes) {
                    let found = format!("USING INDEX conversations_{index} (");
                    assert!(
                        line.contains(&found) && line.ends_with("=? AND (active_at,id)<(?,?))"),
                        "{filter:?} {plan:#?}"
                    );
                }
            }
        }
    }
}
