//! Rows by which instances coordinate the cache.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::fields::{Id, Instant};
use crate::schema::cache_pending;

/// A key that waits to be released, as it is written.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = cache_pending)]
pub(crate) struct NewPendingRow {
    pub(crate) cache_key: String,
    pub(crate) token: String,
    pub(crate) retired: bool,
}

/// Parameters of a renewal; durations in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct RenewalRow {
    pub(crate) id: Id,
    /// Identity of the Redis process that answers.
    pub(crate) remote: String,
    /// How long the instance counts as alive.
    pub(crate) alive: i64,
    /// How long it may serve, and how old an epoch must be.
    pub(crate) serve: i64,
    /// Maximum number of retired rows that are removed with it.
    pub(crate) retired_limit: i64,
}

/// Until when instances may serve, as far as the database knows.
#[derive(Clone, Copy, Debug, Queryable)]
pub(crate) struct ServedRow {
    pub(crate) until: Option<Instant>,
    pub(crate) now: Instant,
    pub(crate) recorded_at: Instant,
    /// Whether the epoch was recorded on the server that answers.
    pub(crate) known: bool,
}

/// What an instance reads about the other instances.
#[derive(Clone, Copy, Debug, Queryable)]
pub(crate) struct OthersRow {
    pub(crate) living: Option<i64>,
    /// Instances that have been silent for so long that they are removed.
    pub(crate) silent: Option<i64>,
    /// Until when another instance that caches in its own memory may serve.
    pub(crate) memory: ServedRow,
}

/// Result of a renewal.
#[derive(Clone, Debug, QueryableByName)]
pub(crate) struct RenewedRow {
    #[diesel(sql_type = BigInt)]
    pub(crate) number: i64,
    #[diesel(sql_type = Text)]
    pub(crate) remote: String,
    /// Whether the epoch was recorded on the server that answers.
    #[diesel(sql_type = Bool)]
    pub(crate) known: bool,
    #[diesel(sql_type = Bool)]
    pub(crate) renewed: bool,
}
