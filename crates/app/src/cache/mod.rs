//! What the app keeps in the cache: under which keys, and what the instances tell one another for it in their database.

mod admin;
mod audit;
pub(crate) mod audit_answers;
pub(crate) mod codec;
mod guarantee;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod popular;
pub(crate) mod read;
mod warm;

use std::sync::Arc;

use parlance_cache::{Backend, Cache, CacheSettings, GATE_TTL, Shared};
use parlance_storage::Database;

pub use admin::{CacheAdmin, CacheInfo, GateView, Invalidation, RedisState, TierStats};
pub use audit::Audited;
pub use codec::Encoders;
pub use parlance_cache::Source;
pub use read::{Answer, Read};
pub use warm::{Warm, Warmed};

use crate::env::Environment;
use ledger::DatabaseLedger;

/// The cache of this instance, whose ledger is the database. Somebody has to [`Cache::keep`] it, unless it is alone.
pub fn open(
    database: &Database,
    settings: CacheSettings,
    shared: Option<Shared>,
    env: &Environment,
) -> Arc<Cache> {
    let ledger = DatabaseLedger::new(
        database.clone(),
        env.random_uuid(),
        GATE_TTL,
        settings.margin,
    );
    Cache::new(settings, shared, Arc::new(ledger))
}

/// No cache, at an instance that is alone with its database: nobody has to be told of a write.
pub fn none(database: &Database, env: &Environment) -> Arc<Cache> {
    let settings = CacheSettings {
        shared_database: false,
        ..CacheSettings::new(Backend::Off, env.random_numbers())
    };
    open(database, settings, None, env)
}
