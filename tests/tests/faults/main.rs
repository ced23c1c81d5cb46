//! Processes that are killed, stopped and started, and databases that go away. Every test has services of its own; a test
//! that hurts Postgres has a server of its own, too.

mod cached;
mod full_disk;
mod import;
mod killed;
mod leaving;
mod load;
mod metrics;
mod migrating;
mod outage;
mod restored;
mod silent;
mod start;
mod stopped;
mod twins;
mod under_way;
