//! Which cache keys each use case fences, and that a repeated request fences them again. An unregistered instance
//! cannot fence in Redis: it records the keys in the transaction of the write, where the tests read them.

#![expect(
    clippy::unwrap_used,
    reason = "tests and their helpers fail by panicking"
)]

mod repeated;
mod support;
mod written;
