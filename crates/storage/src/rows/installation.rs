//! The installation, and the database that it runs on.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::fields::Id;

/// The database as it was recorded last and as it is.
#[derive(Clone, Debug, QueryableByName)]
pub(crate) struct PresentRow {
    #[diesel(sql_type = Text)]
    pub(crate) recorded: String,
    #[diesel(sql_type = Text)]
    pub(crate) present: String,
    /// The epoch of the change feed.
    #[diesel(sql_type = BigInt)]
    pub(crate) epoch: i64,
    /// The server has given fewer transaction numbers than the feed holds, or than this process has seen in it.
    #[diesel(sql_type = Bool)]
    pub(crate) behind: bool,
}

impl PresentRow {
    /// Whether the database is the recorded one.
    pub(crate) fn is_recorded(&self) -> bool {
        self.recorded == self.present && !self.behind
    }
}

/// The database that answers, and what it has recorded for the cache.
#[derive(Clone, Debug, Queryable)]
pub(crate) struct StandingRow {
    pub(crate) installation: Id,
    pub(crate) database: String,
    pub(crate) server: String,
    pub(crate) is_accepted: bool,
    /// Whether an instance lives that uses a shared tier.
    pub(crate) is_shared: bool,
    /// The number of the cache's epoch.
    pub(crate) epoch: Option<i64>,
}
