//! What the queries take from Postgres: the types of its connection, and macros for what its SQL expresses differently.

use diesel_async::AsyncPgConnection;

pub(crate) type Conn = AsyncPgConnection;
pub(crate) type Db = diesel::pg::Pg;

/// A select that keeps its rows locked until the end of the transaction. With the column of their conversation, it
/// first takes the conversation lock, which keeps the feed of one conversation in the order of its sequence: see
/// [`crate::db::feed`]. The lock is a condition of the same statement, since conditions are evaluated before rows are
/// locked.
macro_rules! locked {
    ($query:expr) => {
        $query.for_update()
    };
    ($query:expr, conversation lock on $conversation:literal) => {
        $crate::fragments::prepared::prepared(
            $query
                .filter(diesel::dsl::sql::<diesel::sql_types::Bool>(concat!(
                    "pg_advisory_xact_lock(hashtextextended(",
                    $conversation,
                    "::text, 0)) IS NOT NULL"
                )))
                .for_update(),
        )
    };
}

/// A select that protects its rows from removal until the end of the transaction, but not from changes.
macro_rules! key_shared {
    ($query:expr) => {
        $query.for_key_share()
    };
}

/// A select that locks its rows and skips those that another transaction has locked.
macro_rules! skipping_locked {
    ($query:expr) => {
        $query.for_update().skip_locked()
    };
}

/// A select that protects its rows from changes until the end of the transaction; other transactions may lock them in
/// the same mode.
macro_rules! shared {
    ($query:expr) => {
        $query.for_share()
    };
}

/// Runs a statement that writes at most one row, and appends its deltas to the counters; returns whether it wrote one.
macro_rules! write_counted {
    ($c:expr, $statement:expr, $deltas:expr) => {{
        if $deltas.is_empty() {
            $crate::fragments::prepared::prepared($statement)
                .execute($c)
                .await
                .map(|rows| rows == 1)
        } else {
            let written = $crate::fragments::counting::CountedWrite {
                statement: $statement,
                deltas: $deltas.clone(),
            };
            $crate::fragments::prepared::prepared(written)
                .get_result::<i64>($c)
                .await
                .map(|rows| rows == 1)
        }
    }};
}

/// The first rows of an ordered list.
macro_rules! first {
    ($limit:expr, of $list:expr) => {
        $crate::fragments::prepared::prepared($crate::fragments::paged::Paged::new($list, $limit))
    };
}

/// Inserts rows, many by each statement; returns how many were written.
macro_rules! insert_all {
    ($c:expr, $rows:expr, |$some:ident| $statement:expr) => {{
        let mut written = 0;
        for $some in $crate::fragments::prepared::portions($rows) {
            let $some = $some.to_vec();
            written += $crate::fragments::prepared::prepared($statement)
                .execute($c)
                .await?;
        }
        Ok::<usize, diesel::result::Error>(written)
    }};
}

/// Runs a statement for each row. The statements are pipelined: each is sent without waiting for the answer to the
/// previous one.
macro_rules! for_each {
    ($c:expr, $rows:expr, |$one:ident, $row:ident| $statement:expr) => {{
        let shared: &Conn = $c;
        let each = $rows.iter().map(async |$row| {
            let mut connection = shared;
            let $one = &mut connection;
            $statement
        });
        futures_util::future::try_join_all(each).await
    }};
}

/// The database's clock, which is the same for all instances, plus a number of microseconds.
macro_rules! from_now {
    ($micros:expr) => {
        diesel::dsl::sql::<$crate::fields::sql::TimestampColumn>("(clock_timestamp() + ")
            .bind::<diesel::sql_types::BigInt, _>($micros)
            .sql(" * interval '1 microsecond')")
    };
}

/// Identity of the database that executes the statement: cluster, timeline, database, and the oid of a table that
/// restoring a dump creates again. A restored base backup and a promoted standby have another timeline. The timeline is
/// taken from the WAL being written, since that of the last checkpoint lags behind a promotion. Fails on a standby.
macro_rules! identity_sql {
    () => {
        "((SELECT system_identifier FROM pg_control_system())::text || ':' \
        || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || ':' \
        || (SELECT oid FROM pg_database WHERE datname = current_database())::text || ':' \
        || 'installation'::regclass::oid::text)"
    };
}

/// The identity as an expression.
macro_rules! identity {
    () => {
        diesel::dsl::sql::<diesel::sql_types::Text>(identity_sql!())
    };
}

/// The server that executes the statement: the identity of its database, and the time of its start. Files restored from
/// a file system snapshot have the same identity, but a server is started on them.
macro_rules! server_sql {
    () => {
        concat!(
            "(",
            identity_sql!(),
            " || ':' || (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint::text)"
        )
    };
}

/// The server as an expression.
macro_rules! server {
    () => {
        diesel::dsl::sql::<diesel::sql_types::Text>(server_sql!())
    };
}

/// The number of the next epoch. A database and a copy of it, which both continue the same epoch, get different
/// numbers.
macro_rules! next_epoch {
    () => {
        diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "((number + 1 + floor(random() * 4294967296)::bigint) % 9007199254740992)",
        )
    };
}
