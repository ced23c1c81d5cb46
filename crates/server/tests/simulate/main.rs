//! Tests of `parlance simulate` over sockets: a client of the API, and an application that receives the webhooks. The
//! clock stands still until a test advances it.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by a panic, also in shared helpers"
)]

mod api;
mod application;
mod faults;
mod harness;
mod inbound;
mod life;
mod sha1;
mod webhooks;
