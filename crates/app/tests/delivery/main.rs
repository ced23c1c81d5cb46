//! Tests of the delivery engine on both databases: dispatchers that are killed, paused and concurrent, with a provider
//! that logs every hand-over.
//!
//! For every guard there is a test that disables it; the same checker must then report the damage.
//!
//! `DELIVERY_SCALE` multiplies the counts, `DELIVERY_SEED` repeats a run.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests and their helpers fail by panicking, and print their seed"
)]

#[macro_use]
mod support;

mod attempt_events;
mod batches;
mod cancellation;
mod crash;
mod expiry;
mod hand_over;
mod hold;
mod order;
mod outage;
mod overload;
mod provider_events;
mod reports;
mod retention;
mod retries;
mod scheduled;
mod shutdown;
mod size;
mod zombie;
