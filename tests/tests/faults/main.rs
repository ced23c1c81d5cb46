//! Processes that are killed, stopped and restarted, and databases that fail. Every test has services of its own; a
//! test that disturbs Postgres has a server of its own as well.

mod cached;
mod disconnected_clients;
mod full_disk;
mod import;
mod killed;
mod killed_during_delivery;
mod load;
mod lost_connections;
mod metrics;
mod migrating;
mod outage;
mod restored;
mod start;
mod stopped;
mod twins;
