//! What the instances tell one another for the cache.

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

/// What a renewal asks for; its lengths in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct RenewalRow {
    pub(crate) id: Id,
    /// Who answers.
    pub(crate) remote: String,
    /// How long the instance counts as alive.
    pub(crate) alive: i64,
    /// How long it may serve, and how long an epoch is too young.
    pub(crate) serve: i64,
    /// How many retired rows go with it, at most.
    pub(crate) forget: i64,
}

/// Until when instances may serve, as far as the database knows.
#[derive(Clone, Copy, Debug, Queryable)]
pub(crate) struct ServedRow {
    pub(crate) until: Option<Instant>,
    pub(crate) now: Instant,
    pub(crate) recorded_at: Instant,
    /// Whether the server that answers has recorded the epoch.
    pub(crate) known: bool,
}

/// What an instance learns of the others.
#[derive(Clone, Copy, Debug, Queryable)]
pub(crate) struct OthersRow {
    pub(crate) living: Option<i64>,
    /// Those that have been silent for so long that they are forgotten.
    pub(crate) silent: Option<i64>,
    /// Until when another instance that keeps values in its own memory may serve.
    pub(crate) memory: ServedRow,
}

/// What a renewal finds.
#[derive(Clone, Debug, QueryableByName)]
pub(crate) struct RenewedRow {
    #[diesel(sql_type = BigInt)]
    pub(crate) number: i64,
    #[diesel(sql_type = Text)]
    pub(crate) remote: String,
    /// Whether the server that answers has recorded it.
    #[diesel(sql_type = Bool)]
    pub(crate) known: bool,
    #[diesel(sql_type = Bool)]
    pub(crate) renewed: bool,
}
