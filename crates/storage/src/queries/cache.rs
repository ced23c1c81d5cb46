//! What the instances tell one another for the cache, of the whole installation.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::rows::cache::NewPendingRow;
use crate::schema::cache_pending;

pub(crate) async fn add_pending(c: &mut Conn, rows: &[NewPendingRow]) -> QueryResult<()> {
    for row in rows {
        diesel::insert_into(cache_pending::table)
            .values(row.clone())
            .execute(c)
            .await?;
    }
    Ok(())
}
