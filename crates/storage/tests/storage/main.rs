//! The storage crate by its public API, on both databases. Raw SQL is used only to inspect and to damage rows.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails, in helpers too"
)]

#[macro_use]
mod support;

mod cache;
mod cancel;
mod claims;
mod commit;
mod counters;
mod deleted_messages;
mod feed;
mod feed_order;
mod feed_prune;
mod fence;
mod full_disk;
mod guards;
mod hidden;
mod hold;
mod imports;
mod inconsistent;
mod keys;
mod lists;
mod migrations;
mod other_fields;
mod outage;
mod owners;
mod ownership;
mod pairs;
mod plans;
mod reindex;
mod restored;
mod round_trips;
mod search;
mod search_plans;
mod sequence;
mod size;
mod standby;
mod transitions;
mod uploads;
mod write_ahead_log;
