//! The installation, and the database that it runs on.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::fields::Id;

/// Identity of the database as it was recorded last and as it is now.
#[derive(Clone, Debug, QueryableByName)]
pub(crate) struct IdentityRow {
    #[diesel(sql_type = Text)]
    pub(crate) recorded: String,
    #[diesel(sql_type = Text)]
    pub(crate) present: String,
    /// The epoch of the change feed.
    #[diesel(sql_type = BigInt)]
    pub(crate) epoch: i64,
    /// The server has assigned lower transaction ids than the feed contains, or than this process has read from it.
    #[diesel(sql_type = Bool)]
    pub(crate) behind: bool,
}

impl IdentityRow {
    /// Whether the database is the recorded one.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded == self.present && !self.behind
    }
}

/// State of the database that answers, and what it has recorded for the cache.
#[derive(Clone, Debug, Queryable)]
pub(crate) struct DatabaseStateRow {
    pub(crate) installation: Id,
    pub(crate) database: String,
    pub(crate) server: String,
    pub(crate) is_accepted: bool,
    /// Whether an instance with a shared tier is alive.
    pub(crate) is_shared: bool,
    /// Epoch of the cache.
    pub(crate) epoch: Option<i64>,
}
