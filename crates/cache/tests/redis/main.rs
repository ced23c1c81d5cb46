//! The shared tier against a real Redis.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests fail by panicking, also in helpers"
)]

mod claims;
mod cluster;
mod failures;
mod lists;
mod moving;
mod support;
mod tls;
mod tracking;
mod values;
