//! The installation, and the database that it runs on.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

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
