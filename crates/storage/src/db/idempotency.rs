//! Idempotency keys.

use parlance_domain::Timestamp;
use uuid::Uuid;

use super::Aging;
use crate::conn::Database;
use crate::error::StorageResult;
use crate::fields::Id;
use crate::rows::idempotency::KeyRow;
use crate::tx::Tx;

const REQUEST_IDS: Aging = Aging {
    table: "idempotency_keys",
    time: "created_at",
};

/// A key, and what the request under it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The RPC that it was given to.
    pub rpc: &'static str,
    /// The caller's `request_id`.
    pub key: String,
    /// A hash of the rest of the request.
    pub request_hash: [u8; 32],
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The hash of the request that took it.
    pub request_hash: Vec<u8>,
    /// The resource that this request made.
    pub resource_id: Uuid,
}

impl Tx {
    /// What an earlier request made under this key, if there was one and it has committed.
    pub async fn idempotency_record(
        &mut self,
        key: &IdempotencyKey,
    ) -> StorageResult<Option<Remembered>> {
        let row = on!(self.lease, |c, q| q::idempotency::get(
            c,
            self.owner.as_str(),
            key.rpc,
            &key.key
        ))?;
        Ok(row.map(|row| Remembered {
            request_hash: row.request_hash,
            resource_id: row.resource_id.0,
        }))
    }

    /// Takes a key for a resource; `false` if another request has it. Waits for one that is just taking it.
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
        on!(self.lease, |c, q| q::idempotency::take(c, &row))
    }
}

impl Database {
    /// Removes up to `limit` keys of the whole installation that are older than the promise; how many.
    pub async fn prune_keys(&self, before: Timestamp, limit: i64) -> StorageResult<usize> {
        let mut lease = self.writer().await?;
        let removed = on_backend!(lease, delete_aged(REQUEST_IDS, before.into(), limit))?;
        lease.commit().await?;
        Ok(removed)
    }
}
