//! Idempotency keys: which request created which resource.

use diesel::prelude::*;
use diesel::{pg::Pg, sqlite::Sqlite};

use crate::fields::{Id, Instant};
use crate::schema::idempotency_keys;

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = idempotency_keys, check_for_backend(Pg, Sqlite))]
pub(crate) struct KeyRow {
    pub(crate) owner: String,
    pub(crate) rpc: String,
    pub(crate) key: String,
    pub(crate) request_hash: Vec<u8>,
    pub(crate) resource_id: Id,
    pub(crate) created_at: Instant,
}
