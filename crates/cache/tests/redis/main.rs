//! The shared tier against a real Redis.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails, in helpers too"
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
