//! Setup of the cache: its tiers, its background task, and the lock of a SQLite file.
//!
//! On SQLite the database cannot cheaply notify instances of each other, so they take a lock next to the database file. An instance
//! that uses the `memory` cache takes it exclusively, since it would not be notified of writes of another process. Instances
//! without that cache share it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parlance_app::cache::CacheAdmin;
use parlance_app::{App, Environment};
use parlance_cache::redis::{InvalidationConnection, Node, RedisSettings, RedisTier};
use parlance_cache::{Backend, Cache, CacheSettings, Shared};
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
    /// The Redis tier.
    pub(super) tier: Option<Arc<RedisTier>>,
    /// Why the active backend is not the configured one.
    pub(super) note: String,
    /// Kept until the process ends.
    _lock: Option<File>,
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
        let admin = CacheAdmin::new(Arc::clone(app), self.tier.clone(), self.note.clone());
        telemetry::cache::watch(metrics, cache, self.tier.as_ref(), &admin);
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
    lock: Option<File>,
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
    let (tier, shared) = match (backend, settings.redis()) {
        (Backend::Off | Backend::Memory, _) | (Backend::Redis | Backend::Hybrid, None) => {
            (None, None)
        }
        (Backend::Redis | Backend::Hybrid, Some(redis)) => {
            let (tier, shared) = connect(backend, &redis)?;
            (Some(tier), Some(decorate(shared)))
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
        tier,
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
) -> Result<(Arc<RedisTier>, Shared), StartError> {
    let tier = RedisTier::connect(redis).map_err(StartError::Redis)?;
    let tracking = if backend == Backend::Hybrid && matches!(redis.node, Node::Single(_)) {
        Some(InvalidationConnection::new(redis).map_err(StartError::Redis)? as _)
    } else {
        None
    };
    let remote = Arc::clone(&tier) as _;
    Ok((tier, Shared { remote, tracking }))
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
        DatabaseUrl::Sqlite(path) => lock_file(path, backend),
    }
}

/// Takes the lock of a database file, and returns the backend that it permits.
fn lock_file(database: &Path, backend: Backend) -> Result<Permitted, StartError> {
    let path = lock_path(database);
    let failed = |source| StartError::Lock {
        path: path.clone(),
        source,
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(failed)?;
    if backend == Backend::Memory && is_locked(file.try_lock()).map_err(failed)? {
        return Ok(Permitted {
            backend,
            shared_database: false,
            lock: Some(file),
            note: String::new(),
        });
    }
    if !is_locked(file.try_lock_shared()).map_err(failed)? {
        return Err(StartError::InUse(database.to_owned()));
    }
    let (backend, note) = if backend == Backend::Memory {
        let note = "CACHE_BACKEND is memory, but another process uses this database; the cache of this process is off";
        (Backend::Off, note)
    } else {
        (backend, "")
    };
    Ok(Permitted {
        backend,
        shared_database: true,
        lock: Some(file),
        note: note.to_owned(),
    })
}

/// Path of the lock file: the same for every path that leads to the database.
fn lock_path(database: &Path) -> PathBuf {
    let canonical = database.canonicalize();
    let mut path = canonical.map_or_else(|_| database.into(), PathBuf::into_os_string);
    path.push(".lock");
    path.into()
}

fn is_locked(tried: Result<(), TryLockError>) -> std::io::Result<bool> {
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use parlance_testkit::SqliteFile;

    use super::*;

    fn file() -> (SqliteFile, PathBuf) {
        let file = SqliteFile::new();
        let path = file.path().to_owned();
        std::fs::write(&path, "").unwrap();
        (file, path)
    }

    fn is_refused(path: &Path, backend: Backend) -> bool {
        matches!(lock_file(path, backend), Err(StartError::InUse(_)))
    }

    #[test]
    fn the_memory_cache_takes_the_lock_exclusively() {
        let (_file, path) = file();
        let first = lock_file(&path, Backend::Memory).unwrap();
        assert!(first.backend == Backend::Memory && !first.shared_database);
        for backend in [
            Backend::Memory,
            Backend::Off,
            Backend::Redis,
            Backend::Hybrid,
        ] {
            assert!(is_refused(&path, backend), "{backend:?}");
        }
        drop(first);
        assert_eq!(
            lock_file(&path, Backend::Memory).unwrap().backend,
            Backend::Memory
        );
    }

    #[test]
    fn the_memory_cache_is_off_while_another_process_has_the_lock() {
        let (_file, path) = file();
        let others = [Backend::Off, Backend::Hybrid].map(|of| lock_file(&path, of).unwrap());
        assert!(
            others
                .iter()
                .all(|o| o.shared_database && o.note.is_empty())
        );
        let late = lock_file(&path, Backend::Memory).unwrap();
        assert!(late.backend == Backend::Off && late.shared_database);
        assert!(late.note.contains("another process"), "{}", late.note);
    }

    #[test]
    fn a_symbolic_link_leads_to_the_same_lock() {
        let (_file, path) = file();
        let link = path.with_extension("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let _first = lock_file(&path, Backend::Memory).unwrap();
        assert!(is_refused(&link, Backend::Off));
    }
}
