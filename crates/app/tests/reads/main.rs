//! Reads through the cache: what they cost, and that they say what the database says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails, in helpers too"
)]

mod alike;
mod answers;
mod away;
#[path = "../delivery/support/db.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod db;
mod hits;
mod lists;
mod popular;
mod world;
