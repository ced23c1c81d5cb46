//! The shared tier against a real Redis.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails, in helpers too"
)]

mod failures;
mod lists;
mod support;
mod tracking;
mod values;
