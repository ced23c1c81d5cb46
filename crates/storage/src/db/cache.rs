//! What the instances tell one another for the cache.

use crate::conn::Lease;
use crate::error::StorageResult;
use crate::rows::cache::NewPendingRow;
use crate::tx::PendingKeys;

pub(crate) async fn add_pending(lease: &mut Lease, pending: &PendingKeys) -> StorageResult<()> {
    let PendingKeys { keys, token } = pending;
    let row = |key: &String| NewPendingRow {
        cache_key: key.clone(),
        token: token.clone(),
        retired: false,
    };
    let rows: Vec<_> = keys.iter().map(row).collect();
    on!(*lease, |c, q| q::cache::add_pending(c, &rows))
}
