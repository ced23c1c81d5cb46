//! Classification of errors of the client library.

use deadpool_redis::PoolError;
use deadpool_redis::redis::RedisError;

use crate::remote::Fault;

/// Whether Redis answered with an error, or the connection is unusable.
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

/// Whether a key holds a value of another Redis type.
pub(super) fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}

/// Whether the node does not know the script, after a restart or SCRIPT FLUSH.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// Whether the node does not serve the key, or no longer.
pub(super) fn is_misdirected(error: &RedisError) -> bool {
    matches!(
        error.code(),
        Some("MOVED" | "CLUSTERDOWN" | "READONLY" | "MASTERDOWN")
    )
}
