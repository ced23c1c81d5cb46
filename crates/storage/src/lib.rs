//! Database access: SQLite or Postgres behind one set of queries. The only crate that depends on diesel.
//!
//! Invariants:
//! * Every statement about an owner's data names the owner: no function takes an id without one.
//! * A write goes through [`Tx`], which keeps its connection private, collects the set of changes, appends the change
//!   feed in the same transaction, and commits only with a [`Sink`], which fences before the commit and releases after
//!   it.
//! * A message is written back only as a [`Transition`](parlance_domain::message::Transition): its events decide, and a
//!   repeated one is in the change set too.
//! * Guards are SQL: an update carries the version that was read, and returns [`Guarded::Stale`] if the row has changed
//!   since.
//! * Rows are locked in one order: conversation, message, the rest. The first statement that writes comes after the
//!   lock, so that on Postgres the feed of one conversation is in the order of its sequence (see [`feed`]).
//!
//! To add an entity: its tables in both `migrations/`, `schema.rs`, `model/<entity>.rs`, `rows/<entity>.rs`,
//! `queries/<entity>.rs`, and its public API in `db/<entity>.rs`. A file imports only from its own layer and from lower
//! ones; a test of the workspace lists the layers.

#![expect(
    clippy::duplicate_mod,
    reason = "the query files are compiled once per database on purpose"
)]

#[macro_use]
mod conn;
mod backend;
pub mod db;
mod error;
mod fields;
mod fragments;
mod migrate;
mod model;
mod reindex;
mod rows;
mod schema;

pub use conn::Database;
pub use db::feed;
pub use db::tx::{EarlyFence, Sink, Tx};
pub use error::{StorageError, StorageResult};
pub use migrate::{MigrationReport, migrate, pending_migrations};
pub use model::cache::PendingKeys;
pub use model::guarded::Guarded;
pub use model::settings::{PoolStatus, Settings};
pub use model::touched::{Touch, Touched};
pub use model::url::{DatabaseUrl, DatabaseUrlError};
