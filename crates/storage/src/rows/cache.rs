//! What the instances tell one another for the cache.

use diesel::prelude::*;

use crate::schema::cache_pending;

/// A key that waits to be released, as it is written.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = cache_pending)]
pub(crate) struct NewPendingRow {
    pub(crate) cache_key: String,
    pub(crate) token: String,
    pub(crate) retired: bool,
}
