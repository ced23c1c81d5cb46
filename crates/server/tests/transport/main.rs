//! Tests of the gRPC and HTTP ports over sockets. Two services of the contract have stub handlers, which the id of a request
//! controls.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by a panic, also in shared helpers"
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
