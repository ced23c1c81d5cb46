//! The installation itself, and the database that it runs on.

use uuid::Uuid;

use crate::conn::Database;
use crate::error::StorageResult;

impl Database {
    /// The installation's id, made by its first migration.
    pub async fn installation(&self) -> StorageResult<Uuid> {
        read!(self, |c, q| q::installation::id(c)).map(|id| id.0)
    }

    /// The database went back to an earlier state of its own, as the cache can prove: its marker says how many reconciliation passes
    /// there were, and the database knows of fewer.
    pub async fn database_went_back(&self, marker: i64) -> StorageResult<()> {
        let mut lease = self.writer().await?;
        let next = marker.saturating_add(1);
        on!(lease, |c, q| q::installation::raise_reconciliations(
            c, next
        ))?;
        lease.commit().await
    }

    /// The identity of the database itself: cluster, timeline and database on Postgres, a constant on SQLite.
    pub async fn identity(&self) -> StorageResult<String> {
        read!(self, |c, q| q::installation::identity(c))
    }
}
