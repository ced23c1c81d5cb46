//! The installation itself, and the database that it runs on.

use uuid::Uuid;

use crate::conn::Database;
use crate::error::StorageResult;

impl Database {
    /// The installation's id, made by its first migration.
    pub async fn installation(&self) -> StorageResult<Uuid> {
        read!(self, |c, q| q::installation::id(c)).map(|id| id.0)
    }

    /// The identity of the database itself: cluster, timeline and database on Postgres, a constant on SQLite.
    pub async fn identity(&self) -> StorageResult<String> {
        read!(self, |c, q| q::installation::identity(c))
    }
}
