//! Idempotency: a request repeated under its `request_id` creates nothing and returns the present state of what the
//! first one created.

use parlance_storage::Tx;
use parlance_storage::db::idempotency::IdempotencyKey;
use uuid::Uuid;

use crate::error::{Error, Reason, Result};

/// A caller's `request_id` and a hash of the rest of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId {
    /// The key that the caller chose.
    pub key: String,
    /// SHA-256 of the request without the key, so that another request under the same key is detected.
    pub request_hash: [u8; 32],
}

/// Resource created now, or by an earlier request under the same `request_id`.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayable<T> {
    /// The resource, in its present state.
    pub value: T,
    /// Whether an earlier request created it.
    pub replayed: bool,
}

impl<T> Replayable<T> {
    pub(crate) const fn fresh(value: T) -> Self {
        Self {
            value,
            replayed: false,
        }
    }

    pub(crate) const fn replayed(value: T) -> Self {
        Self {
            value,
            replayed: true,
        }
    }
}

/// Result of taking a key.
pub(crate) enum KeyUse {
    /// The key was free, or none was given: go on.
    First,
    /// An earlier request created this resource.
    Repeated(Uuid),
}

/// Takes the key for a resource that is about to be created. Call it after the conversation is locked and before any
/// other write. Waits for a request in flight under the same key.
pub(crate) async fn take_key(
    tx: &mut Tx,
    rpc: &'static str,
    id: Option<&RequestId>,
    resource: Uuid,
) -> Result<KeyUse> {
    let Some(RequestId { key, request_hash }) = id else {
        return Ok(KeyUse::First);
    };
    let key = IdempotencyKey {
        rpc,
        key: key.clone(),
        request_hash: *request_hash,
    };
    if tx.take_key(&key, resource).await? {
        return Ok(KeyUse::First);
    }
    match tx.idempotency_record(&key).await? {
        Some(found) if found.request_hash == request_hash => {
            Ok(KeyUse::Repeated(found.resource_id))
        }
        Some(_) => Err(Error::new(
            Reason::RequestIdReused,
            "this request_id was used for another request; use a new one for a new request",
        )),
        // Pruned between the two statements, which happens only to keys that are days old.
        None => Err(Error::new(
            Reason::Conflict,
            "this request_id has just expired; retry",
        )),
    }
}
