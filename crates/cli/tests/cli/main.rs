//! Tests of the commands against a running service.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by a panic with its location, also in shared helpers"
)]

mod demo;
mod harness;
mod listing;
mod outputs;
mod refusing;
mod searching;
mod sending;
mod serving;
mod simulating;
mod transferring;
mod watching;
