//! The two databases. Each defines its connection type and the few statements that are specific to it, and then
//! compiles the one set of query files for itself.

pub(crate) mod pg;
mod pg_feed;
mod pg_queues;
mod pg_search;
pub(crate) mod sqlite;
mod sqlite_feed;
mod sqlite_search;
mod sqlite_states;
