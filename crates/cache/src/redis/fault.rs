//! What the client's errors mean to us.

use deadpool_redis::PoolError;
use deadpool_redis::redis::RedisError;

use crate::remote::Fault;

/// Redis answered with an error, or the connection is of no use any more.
pub(super) fn fault(error: &RedisError) -> Fault {
    if error.is_unrecoverable_error() || error.is_io_error() {
        Fault::Away(error.to_string())
    } else {
        Fault::Refused(error.to_string())
    }
}

pub(super) fn pool_fault(error: PoolError) -> Fault {
    match error {
        PoolError::Backend(error) => Fault::Away(error.to_string()),
        PoolError::Timeout(_) => Fault::Slow,
        PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
            Fault::Away(error.to_string())
        }
    }
}

/// Whether a key holds something of another type.
pub(super) fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}

/// Whether the node does not know the script, after a restart or SCRIPT FLUSH.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// Whether the node is not, or no longer, in charge of the key.
pub(super) fn is_misled(error: &RedisError) -> bool {
    matches!(
        error.code(),
        Some("MOVED" | "CLUSTERDOWN" | "READONLY" | "MASTERDOWN")
    )
}
