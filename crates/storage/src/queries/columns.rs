//! The tables and columns of `schema.rs` that the database lacks.

use diesel::prelude::*;
use diesel::result::Error as DieselError;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::schema;

/// Selects all columns and no row of each table.
macro_rules! missing_in {
    ($c:ident, $($table:ident),+ $(,)?) => {{
        let mut missing = Vec::new();
        $(missing.extend(absence(schema::$table::table.limit(0).execute($c).await)?);)+
        Ok(missing)
    }};
}

/// Returns the database's message about the first missing column of each table, or about the table.
pub(crate) async fn missing(c: &mut Conn) -> QueryResult<Vec<String>> {
    missing_in!(
        c,
        installation,
        write_probe,
        senders,
        conversations,
        messages,
        deliveries,
        message_events,
        attachments,
        deleted_messages,
        attachment_chunks,
        idempotency_keys,
        feed,
        feed_state,
        cache_instances,
        cache_epoch,
        cache_pending,
        search_pending,
        search_state,
        imports,
    )
}

/// Returns the message of an error that says that a table or a column does not exist.
fn absence(answer: QueryResult<usize>) -> QueryResult<Option<String>> {
    // Messages of Postgres and of SQLite.
    const ABSENT: [&str; 2] = ["does not exist", "no such"];
    match answer {
        Ok(_) => Ok(None),
        Err(DieselError::DatabaseError(_, info))
            if ABSENT.iter().any(|words| info.message().contains(words)) =>
        {
            Ok(Some(info.message().to_owned()))
        }
        Err(error) => Err(error),
    }
}
