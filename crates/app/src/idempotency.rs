//! A request that is repeated under its `request_id` makes nothing, and returns what the first one made, as it is now.

use parlance_storage::Tx;
use parlance_storage::db::idempotency::IdempotencyKey;
use uuid::Uuid;

use crate::error::{Error, Reason, Result};

/// A caller's `request_id` and a hash of the rest of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId {
    /// What the caller chose.
    pub key: String,
    /// SHA-256 of the request without it, so that another request under the same id is noticed.
    pub request_hash: [u8; 32],
}

/// Something that was made now, or by an earlier request under the same `request_id`.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayable<T> {
    /// It, as it is now.
    pub value: T,
    /// Whether an earlier request made it.
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

/// The outcome of taking a key.
pub(crate) enum Taken {
    /// It was free, or none was given: go on.
    Now,
    /// An earlier request made this.
    Before(Uuid),
}

/// Takes the key for a resource that is about to be made. Call it after the conversation is locked and before anything else
/// is written. A request in flight under the same key is waited for.
pub(crate) async fn take(
    tx: &mut Tx,
    rpc: &'static str,
    id: Option<&RequestId>,
    resource: Uuid,
) -> Result<Taken> {
    let Some(RequestId { key, request_hash }) = id else {
        return Ok(Taken::Now);
    };
    let key = IdempotencyKey {
        rpc,
        key: key.clone(),
        request_hash: *request_hash,
    };
    if tx.take_key(&key, resource).await? {
        return Ok(Taken::Now);
    }
    match tx.idempotency_record(&key).await? {
        Some(found) if found.request_hash == request_hash => Ok(Taken::Before(found.resource_id)),
        Some(_) => Err(Error::new(
            Reason::RequestIdReused,
            "this request_id was used for another request; use a new one for a new request",
        )),
        // Forgotten between the two statements: only a key of days ago is.
        None => Err(Error::new(
            Reason::Conflict,
            "this request_id has just been forgotten; retry",
        )),
    }
}
