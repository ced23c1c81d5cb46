//! What the queries take from SQLite: the types of its connection, and macros for what its SQL expresses differently.

use diesel::sqlite::SqliteConnection;
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;

pub(crate) type Conn = SyncConnectionWrapper<SqliteConnection>;
pub(crate) type Db = diesel::sqlite::Sqlite;

/// There is one writer: a row that it reads is as good as locked.
macro_rules! locked {
    ($query:expr) => {
        $query
    };
    ($query:expr, conversation lock on $conversation:literal) => {
        $query
    };
}

/// There is one writer: no row is removed meanwhile.
macro_rules! key_shared {
    ($query:expr) => {
        $query
    };
}

/// There is one writer: no other transaction locks anything.
macro_rules! skipping_locked {
    ($query:expr) => {
        $query
    };
}

/// There is one writer: no row changes meanwhile.
macro_rules! shared {
    ($query:expr) => {
        $query
    };
}

/// Runs a statement that writes at most one row, and appends its deltas to the counters; returns whether it wrote one.
macro_rules! write_counted {
    ($c:expr, $statement:expr, $deltas:expr) => {{
        let wrote = $crate::fragments::prepared::prepared($statement)
            .execute($c)
            .await?
            == 1;
        if wrote && !$deltas.is_empty() {
            $crate::fragments::prepared::prepared($deltas.clone())
                .execute($c)
                .await?;
        }
        Ok::<bool, diesel::result::Error>(wrote)
    }};
}

/// The first rows of an ordered list. The plan does not depend on the number here.
macro_rules! first {
    ($limit:expr, of $list:expr) => {
        $list.limit($limit)
    };
}

/// Inserts rows, one by each statement, in one visit to the connection's thread: a statement costs no round trip here.
/// Returns how many were written.
macro_rules! insert_all {
    ($c:expr, $rows:expr, |$some:ident| $statement:expr) => {{
        let rows = $rows.to_vec();
        $c.spawn_blocking(move |c| {
            let mut written = 0;
            for $some in rows {
                let statement = $crate::fragments::prepared::prepared($statement);
                written += diesel::Connection::execute_returning_count(c, &statement)?;
            }
            Ok(written)
        })
        .await
    }};
}

/// Runs a statement for each row.
macro_rules! for_each {
    ($c:expr, $rows:expr, |$one:ident, $row:ident| $statement:expr) => {{
        let mut each = Vec::with_capacity($rows.len());
        for $row in $rows {
            let $one = &mut *$c;
            each.push($statement?);
        }
        Ok::<_, diesel::result::Error>(each)
    }};
}

/// The clock of the machine, which runs the only instance, plus a number of microseconds.
macro_rules! from_now {
    ($micros:expr) => {
        diesel::dsl::sql::<$crate::fields::sql::TimestampColumn>(
            "(CAST(unixepoch('subsec') * 1000000 AS INTEGER) + ",
        )
        .bind::<diesel::sql_types::BigInt, _>($micros)
        .sql(")")
    };
}

/// A file has no identity of its own: a copy of it is the same database.
macro_rules! identity_sql {
    () => {
        "'sqlite'"
    };
}

/// The identity as an expression.
macro_rules! identity {
    () => {
        diesel::dsl::sql::<diesel::sql_types::Text>(identity_sql!())
    };
}

/// There is no server.
macro_rules! server {
    () => {
        identity!()
    };
}

/// The number of the next epoch. Of two that follow the same one, in a database and in a copy of it, each gets another.
macro_rules! next_epoch {
    () => {
        diesel::dsl::sql::<diesel::sql_types::BigInt>(
            "((number + 1 + (random() & 4294967295)) % 9007199254740992)",
        )
    };
}
