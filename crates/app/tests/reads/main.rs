//! Reads through the cache: what they cost, and that they say what the database says.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails, in helpers too"
)]

mod answers;
#[path = "../delivery/support/db.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod db;
mod equivalence;
mod hits;
mod lists;
mod outage;
mod popular;
mod world;
