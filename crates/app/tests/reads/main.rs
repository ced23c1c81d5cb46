//! Reads through the cache: their cost, and that they return what the database contains.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod answers;
#[path = "../delivery/support/db.rs"]
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod db;
mod equivalence;
mod hits;
mod lists;
mod outage;
mod warming;
mod world;
