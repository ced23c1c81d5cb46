//! Conversation locks and conversation queues on Postgres, many at a time.

use diesel::sql_types::{Array, BigInt, Text};
use diesel_async::RunQueryDsl;

use super::dialect::Conn;
use crate::fields::Id;
use crate::fields::sql::Uid;
use crate::fragments::prepared::prepared;

/// Takes the locks of those conversations that no other transaction has locked; returns these conversations.
pub(crate) async fn try_conversation_locks(
    c: &mut Conn,
    conversations: &[Id],
) -> diesel::QueryResult<Vec<Id>> {
    #[derive(diesel::QueryableByName)]
    struct Taken {
        #[diesel(sql_type = Uid)]
        conversation: Id,
    }
    let locks = diesel::sql_query(
        "SELECT conversation FROM unnest($1) AS conversation
        WHERE pg_try_advisory_xact_lock(hashtextextended(conversation::text, 0))",
    );
    let taken: Vec<Taken> = prepared(locks.bind::<Array<Uid>, _>(conversations))
        .load(c)
        .await?;
    Ok(taken.into_iter().map(|taken| taken.conversation).collect())
}

/// Unblocks the first delivery of each queue; returns whether one was blocked. Only the first of a queue is read,
/// however long the queue is.
pub(crate) async fn unblock_queues(
    c: &mut Conn,
    owner: &str,
    queues: &[(Id, i64)],
) -> diesel::QueryResult<bool> {
    let (conversations, generations): (Vec<Id>, Vec<i64>) = queues.iter().copied().unzip();
    let free = diesel::sql_query(
        "UPDATE deliveries SET blocked = false FROM (
            SELECT first.message_id FROM unnest($1, $2) AS queue (conversation, of), LATERAL (
                SELECT message_id, blocked FROM deliveries
                WHERE conversation_id = queue.conversation AND generation = queue.of AND owner = $3 AND state <> 'scheduled'
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
