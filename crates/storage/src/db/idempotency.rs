//! Idempotency keys.

use parlance_domain::Timestamp;
use uuid::Uuid;

pub use crate::model::idempotency::{IdempotencyKey, IdempotencyRecord};

use crate::conn::Database;
use crate::db::tx::Tx;
use crate::error::StorageResult;
use crate::fields::Id;
use crate::rows::idempotency::KeyRow;
use crate::schema::AgingTable;

const REQUEST_IDS: AgingTable = AgingTable {
    table: "idempotency_keys",
    time: "created_at",
};

impl Tx {
    /// Returns what is recorded under this key, if an earlier request took it and has committed.
    pub async fn idempotency_record(
        &mut self,
        key: &IdempotencyKey,
    ) -> StorageResult<Option<IdempotencyRecord>> {
        let row = on!(self.connection, |c, q| q::idempotency::get(
            c,
            self.owner.as_str(),
            key.rpc,
            &key.key
        ))?;
        Ok(row.map(|row| IdempotencyRecord {
            request_hash: row.request_hash,
            resource_id: row.resource_id.0,
        }))
    }

    /// Takes a key for a resource; `false` if another request has it. Waits for a transaction that is taking it.
    pub async fn take_key(
        &mut self,
        key: &IdempotencyKey,
        resource_id: Uuid,
    ) -> StorageResult<bool> {
        let row = KeyRow {
            owner: self.owner.as_str().to_owned(),
            rpc: key.rpc.to_owned(),
            key: key.key.clone(),
            request_hash: key.request_hash.to_vec(),
            resource_id: Id(resource_id),
            created_at: self.now.into(),
        };
        on!(self.connection, |c, q| q::idempotency::take(c, &row))
    }
}

impl Database {
    /// Removes up to `limit` keys of the whole installation that are older than the guaranteed retention; returns how
    /// many.
    pub async fn prune_keys(&self, before: Timestamp, limit: i64) -> StorageResult<usize> {
        let mut connection = self.writer().await?;
        let removed = on_backend!(connection, delete_aged(REQUEST_IDS, before.into(), limit))?;
        connection.commit().await?;
        Ok(removed)
    }
}
