//! The commands as they are typed, against a service that runs.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic with its place is how a test fails, also in what the tests share"
)]

mod demo;
mod harness;
mod listing;
mod outputs;
mod refusing;
mod searching;
mod sending;
mod serving;
mod transferring;
mod watching;
