//! The app's use of the cache: keys, codecs, and coordination between instances through the database.

pub(crate) mod audit_answers;
pub(crate) mod audited;
pub(crate) mod codec;
pub(crate) mod json;
pub(crate) mod keys;
pub(crate) mod ledger;

use std::sync::Arc;

use parlance_cache::{Backend, Cache, CacheSettings, GATE_TTL, Shared};
use parlance_storage::Database;

pub use audited::Audited;
pub use codec::Encoders;
pub use parlance_cache::Source;

use crate::env::Environment;
use ledger::DatabaseLedger;

/// Opens the cache of this instance, with the database as its ledger. Run [`Cache::keep`] for it, unless the database
/// is not shared.
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

/// Cache with backend `off` for an instance that does not share its database: no instance has to be notified of
/// writes.
pub fn none(database: &Database, env: &Environment) -> Arc<Cache> {
    let settings = CacheSettings {
        shared_database: false,
        ..CacheSettings::new(Backend::Off, env.random_numbers())
    };
    open(database, settings, None, env)
}
