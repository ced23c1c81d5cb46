//! Postgres: turns of many conversations, and their lines of jobs.

use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::RunQueryDsl;

use super::pg::Conn;
use crate::fields::Id;
use crate::fields::sql::Uid;
use crate::prepared::prepared;

/// Takes the turns of conversations that nobody else has just now; whose it took.
pub(crate) async fn try_turns(c: &mut Conn, conversations: &[Id]) -> diesel::QueryResult<Vec<Id>> {
    #[derive(diesel::QueryableByName)]
    struct Taken {
        #[diesel(sql_type = Uid)]
        turn: Id,
    }
    let turns = diesel::sql_query(
        "SELECT turn FROM unnest($1) AS turn
        WHERE pg_try_advisory_xact_lock(hashtextextended(turn::text, 0))",
    );
    let taken: Vec<Taken> = prepared(turns.bind::<Array<Uid>, _>(conversations))
        .load(c)
        .await?;
    Ok(taken.into_iter().map(|taken| taken.turn).collect())
}

/// Frees the first of each line; whether one was blocked. However long a line is, only its first is looked at.
pub(crate) async fn free_lines(
    c: &mut Conn,
    owner: &str,
    lines: &[(Id, i64)],
) -> diesel::QueryResult<bool> {
    let (conversations, generations): (Vec<Id>, Vec<i64>) = lines.iter().copied().unzip();
    let free = diesel::sql_query(
        "UPDATE deliveries SET blocked = false FROM (
            SELECT first.message_id FROM unnest($1, $2) AS line (conversation, of), LATERAL (
                SELECT message_id, blocked FROM deliveries
                WHERE conversation_id = line.conversation AND generation = line.of AND owner = $3 AND state <> 'scheduled'
                ORDER BY sequence LIMIT 1
            ) AS first WHERE first.blocked
        ) AS first WHERE deliveries.message_id = first.message_id",
    );
    let free = free
        .bind::<Array<Uid>, _>(conversations)
        .bind::<Array<BigInt>, _>(generations)
        .bind::<Text, _>(owner);
    prepared(free).execute(c).await.map(|freed| freed > 0)
}
