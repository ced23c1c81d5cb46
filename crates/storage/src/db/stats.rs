//! Counters, exact at any time: each write appends its deltas in its own transaction, and a read sums the folded totals
//! and the deltas in one statement. There is no row that every write updates.

use parlance_domain::Owner;

pub use crate::model::stats::{Counter, CounterKind};

use crate::conn::Database;
use crate::error::StorageResult;

impl Database {
    /// Returns all counters of an owner, or of one of its users. Zero counters are left out. A conversation that is
    /// being deleted is not counted, and neither are its messages.
    pub async fn counters(&self, owner: &Owner, user: Option<&str>) -> StorageResult<Vec<Counter>> {
        let rows = read!(self, |c, q| q::stats::sums(c, owner.as_str(), user))?;
        rows.into_iter().map(Counter::try_from).collect()
    }

    /// Folds up to `limit` deltas of the whole installation into the totals; returns how many. Instances that fold at
    /// once share them.
    pub async fn fold_counters(&self, limit: i64) -> StorageResult<usize> {
        // Most of the time there are none: then no writer has to wait.
        if !read!(self, |c, q| q::stats::has_deltas(c))? {
            return Ok(0);
        }
        let mut connection = self.writer().await?;
        let folded = on_backend!(connection, fold_counters(limit))?;
        connection.commit().await?;
        Ok(folded)
    }
}
