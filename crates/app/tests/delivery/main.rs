//! The delivery core on both databases: dispatchers that die, freeze and race, over a provider that logs all it takes.
//!
//! Every guard is also switched off once, in the test alone, and the same checker must then find the damage.
//!
//! `DELIVERY_SCALE` multiplies the counts, `DELIVERY_SEED` repeats a run.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a panic is how a test fails, in helpers too, and a seed is there to be read"
)]

#[macro_use]
mod support;

mod attempt_events;
mod batches;
mod cancellation;
mod crash;
mod expiry;
mod hold;
mod order;
mod outage;
mod overload;
mod reports;
mod retention;
mod retries;
mod scheduled;
mod shutdown;
mod size;
mod zombie;
