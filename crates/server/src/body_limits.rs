//! Limits of request bodies on the HTTP port.

use std::time::Duration;

/// Allowance for names and punctuation, in addition to the bytes of the message.
const OVERHEAD_BYTES: usize = 64 * 1024;

/// Limits of a request body.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum size of the body.
    pub bytes: usize,
    /// Maximum time between two frames.
    pub pause: Duration,
    /// Maximum time from the first byte to the last.
    pub whole: Duration,
}

impl Limits {
    /// Limits for requests of this size as protobuf: files grow by a third in JSON.
    pub const fn of(max_request_bytes: usize) -> Self {
        Self::of_body(max_request_bytes.saturating_mul(4) / 3 + OVERHEAD_BYTES)
    }

    /// Limits for bodies of this size.
    pub const fn of_body(bytes: usize) -> Self {
        Self {
            bytes,
            pause: Duration::from_secs(10),
            whole: Duration::from_mins(1),
        }
    }
}
