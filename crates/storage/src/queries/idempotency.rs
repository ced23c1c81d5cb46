//! Idempotency keys.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::fragments::prepared::prepared;
use crate::rows::idempotency::KeyRow;
use crate::schema::idempotency_keys;

pub(crate) async fn get(
    c: &mut Conn,
    owner: &str,
    rpc: &str,
    key: &str,
) -> QueryResult<Option<KeyRow>> {
    idempotency_keys::table
        .filter(idempotency_keys::owner.eq(owner))
        .filter(idempotency_keys::rpc.eq(rpc))
        .filter(idempotency_keys::key.eq(key))
        .select(KeyRow::as_select())
        .get_result(c)
        .await
        .optional()
}

/// Takes the key; `false` if it is taken. Waits for a transaction that is taking it.
pub(crate) async fn take(c: &mut Conn, row: &KeyRow) -> QueryResult<bool> {
    let inserted = prepared(
        diesel::insert_into(idempotency_keys::table)
            .values(row.clone())
            .on_conflict_do_nothing(),
    )
    .execute(c)
    .await?;
    Ok(inserted == 1)
}
