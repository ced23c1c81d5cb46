//! Idempotency keys.

use uuid::Uuid;

/// An idempotency key, and the hash of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The RPC that it belongs to.
    pub rpc: &'static str,
    /// The caller's `request_id`.
    pub key: String,
    /// Hash of the rest of the request.
    pub request_hash: [u8; 32],
}

/// What is recorded under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    /// Hash of the request that took it.
    pub request_hash: Vec<u8>,
    /// The resource that this request created.
    pub resource_id: Uuid,
}
