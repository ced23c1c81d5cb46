//! The port as clients meet it, with two services of the contract whose handlers do what a request's id says.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic with its place is how a test fails, also in what the tests share"
)]

mod abuse;
mod calls;
mod frames;
mod harness;
mod json;
mod life;
mod log;
mod services;
mod web;
