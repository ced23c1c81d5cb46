//! Setup of the cache: its tiers, its background task, and the lock of a SQLite file.

use std::sync::Arc;
use std::time::Duration;

use parlance_app::cache_admin::CacheAdmin;
use parlance_app::{App, Environment};
use parlance_cache::redis::{InvalidationConnection, Node, RedisSettings, RedisTier};
use parlance_cache::{Backend, Cache, CacheSettings, DatabaseLock, RemoteHealth, Shared};
use parlance_storage::{Database, DatabaseUrl};

use super::start_error::StartError;
use crate::config::Settings;
use crate::telemetry;
use crate::telemetry::metrics::Metrics;

/// Maximum time that deliveries wait for a Redis that does not return its marker.
const MARKER_TIMEOUT: Duration = Duration::from_secs(30);

/// The open cache, with its connections and its lock.
pub(super) struct OpenCache {
    pub(super) cache: Arc<Cache>,
    /// Health of Redis, if configured.
    pub(super) redis: Option<Arc<dyn RemoteHealth>>,
    /// Why the active backend is not the configured one.
    pub(super) note: String,
    /// Kept until the process ends.
    _lock: Option<DatabaseLock>,
}

impl std::fmt::Debug for OpenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenCache")
            .field("backend", &self.cache.backend())
            .finish_non_exhaustive()
    }
}

impl OpenCache {
    /// Starts the background task of the cache, and returns the operators' interface once this instance may write: it is
    /// registered, so that other instances know of it, and its first reconciliation pass has ended or is not possible. Audit and
    /// warming continue in the background.
    pub(super) async fn start(
        &self,
        app: &Arc<App>,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Arc<CacheAdmin> {
        let cache = &self.cache;
        let admin = CacheAdmin::new(Arc::clone(app), self.redis.clone(), self.note.clone());
        telemetry::cache::watch(metrics, cache, self.redis.as_ref(), &admin);
        tokio::spawn(Arc::clone(cache).keep());
        cache.wait_until_ready().await;
        if cache.backend() != Backend::Off {
            if let Some(every) = settings.cache_audit_interval {
                tokio::spawn(Arc::clone(&admin).run_auditor(every));
            }
            let conversations = settings.cache_warm_on_start;
            tokio::spawn(Arc::clone(&admin).warm_on_start(conversations));
        }
        admin
    }
}

/// Backend that this instance may use.
struct Permitted {
    backend: Backend,
    /// Whether other instances may write to the database.
    shared_database: bool,
    lock: Option<DatabaseLock>,
    /// Why it is not the configured one.
    note: String,
}

/// Opens the cache. It is registered with the other instances by [`OpenCache::start`]. `decorate` may wrap what instances share.
pub(super) fn open(
    settings: &Settings,
    database: &Database,
    env: &Environment,
    decorate: impl FnOnce(Shared) -> Shared,
) -> Result<OpenCache, StartError> {
    let Permitted {
        backend,
        shared_database,
        lock,
        mut note,
    } = permitted(settings)?;
    let cache_settings = CacheSettings {
        ttls: settings.ttls(),
        max_entries: settings.cache_max_memory_size,
        max_bytes: settings.cache_max_memory_bytes,
        max_value: settings.cache_max_value,
        max_staleness: settings.cache_max_staleness,
        stall_timeout: settings.cache_patience,
        margin: settings.cache_clock_margin,
        marker_timeout: marker_timeout(settings),
        shared_database,
        ..CacheSettings::new(backend, env.random_numbers())
    };
    let (health, shared) = match (backend, settings.redis()) {
        (Backend::Off | Backend::Memory, _) | (Backend::Redis | Backend::Hybrid, None) => {
            (None, None)
        }
        (Backend::Redis | Backend::Hybrid, Some(redis)) => {
            let (health, shared) = connect(backend, &redis)?;
            (Some(health), Some(decorate(shared)))
        }
    };
    let cache = parlance_app::cache::open(database, cache_settings, shared, env);
    if settings.backend() == Backend::Hybrid && cache.backend() == Backend::Redis {
        "CACHE_BACKEND is hybrid, but Redis Cluster is used without an in-process cache; the backend is redis"
            .clone_into(&mut note);
    }
    if !note.is_empty() {
        tracing::warn!(backend = cache.backend().as_str(), "{note}");
    }
    Ok(OpenCache {
        cache,
        redis: health,
        note,
        _lock: lock,
    })
}

/// Time to wait for the marker; none without `HOLD_AFTER_RESTORE`, since deliveries then need no comparison.
fn marker_timeout(settings: &Settings) -> Duration {
    if settings.storage().hold_after_restore {
        MARKER_TIMEOUT
    } else {
        Duration::ZERO
    }
}

fn connect(
    backend: Backend,
    redis: &RedisSettings,
) -> Result<(Arc<dyn RemoteHealth>, Shared), StartError> {
    let tier = RedisTier::connect(redis).map_err(StartError::Redis)?;
    let tracking = if backend == Backend::Hybrid && matches!(redis.node, Node::Single(_)) {
        Some(InvalidationConnection::new(redis).map_err(StartError::Redis)? as _)
    } else {
        None
    };
    let remote = Arc::clone(&tier) as _;
    let health: Arc<dyn RemoteHealth> = tier;
    Ok((health, Shared { remote, tracking }))
}

fn permitted(settings: &Settings) -> Result<Permitted, StartError> {
    let backend = settings.backend();
    match &settings.database_url {
        DatabaseUrl::Postgres(_) => Ok(Permitted {
            backend,
            shared_database: true,
            lock: None,
            note: String::new(),
        }),
        DatabaseUrl::Sqlite(path) => {
            let lock = DatabaseLock::take(path, backend)?;
            let note = if lock.backend() == backend {
                ""
            } else {
                "CACHE_BACKEND is memory, but another process uses this database; the cache of this process is off"
            };
            Ok(Permitted {
                backend: lock.backend(),
                shared_database: lock.is_shared(),
                lock: Some(lock),
                note: note.to_owned(),
            })
        }
    }
}
