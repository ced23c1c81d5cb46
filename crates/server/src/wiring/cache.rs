//! The cache: its tiers, who keeps it, and who may have one.
//!
//! On a file the database cannot tell instances of one another cheaply, so the system does, by a lock beside it. Whoever serves
//! from its own memory holds it alone: it would not hear of another's writes, so there is no other. The rest share it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parlance_app::cache::CacheAdmin;
use parlance_app::{App, Environment};
use parlance_cache::redis::{InvalidationConnection, RedisTier};
use parlance_cache::{Backend, Cache, Shared};
use parlance_storage::{Database, DatabaseUrl};

use super::StartError;
use crate::config::{CacheSettings, Settings};
use crate::telemetry;
use crate::telemetry::metrics::Metrics;

/// How long deliveries wait for a Redis that does not tell its marker.
const MARKER_PATIENCE: Duration = Duration::from_secs(30);

/// The cache, and what belongs to it.
pub(super) struct Caching {
    /// It.
    pub(super) cache: Arc<Cache>,
    /// To Redis.
    pub(super) tier: Option<Arc<RedisTier>>,
    /// Why what is in force is not what was asked for.
    pub(super) note: String,
    /// Held for as long as the process lives.
    _lock: Option<File>,
}

impl std::fmt::Debug for Caching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caching")
            .field("backend", &self.cache.backend())
            .finish_non_exhaustive()
    }
}

impl Caching {
    /// Keeps it, and returns where operators ask when this instance may write: the others know of it by then, and it has drained
    /// once or cannot. What is not needed for that goes on behind it.
    pub(super) async fn start(
        &self,
        app: &Arc<App>,
        settings: &Settings,
        metrics: &Metrics,
    ) -> Arc<CacheAdmin> {
        let cache = &self.cache;
        let desk = CacheAdmin::new(Arc::clone(app), self.tier.clone(), self.note.clone());
        telemetry::cache::watch(metrics, cache, self.tier.as_ref(), &desk);
        tokio::spawn(Arc::clone(cache).keep());
        cache.wait_until_ready().await;
        if cache.backend() != Backend::Off {
            if let Some(every) = settings.cache.audit_interval {
                tokio::spawn(Arc::clone(&desk).run_auditor(every));
            }
            let (conversations, searches) =
                (settings.cache.warm_on_start, settings.cache.warm_searches);
            tokio::spawn(Arc::clone(&desk).warm_on_start(conversations, searches));
        }
        desk
    }
}

/// What this instance may have.
struct Allowed {
    backend: Backend,
    /// Whether other instances may write to the database.
    shared_database: bool,
    lock: Option<File>,
    note: String,
}

/// Opens the cache; others are told of it as soon as somebody keeps it. `decorate` may put itself before what instances share.
pub(super) fn open(
    settings: &Settings,
    database: &Database,
    env: &Environment,
    decorate: impl FnOnce(Shared) -> Shared,
) -> Result<Caching, StartError> {
    let Allowed {
        backend,
        shared_database,
        lock,
        mut note,
    } = allowed(settings)?;
    let CacheSettings {
        backend: asked,
        backend_given: _,
        redis,
        ttls,
        max_entries,
        max_bytes,
        max_value,
        max_staleness,
        stall_timeout: patience,
        clock_margin,
        warm_on_start: _,
        warm_searches: _,
        audit_interval: _,
    } = &settings.cache;
    let set_up = parlance_cache::CacheSettings {
        ttls: *ttls,
        max_entries: *max_entries,
        max_bytes: *max_bytes,
        max_value: *max_value,
        max_staleness: *max_staleness,
        stall_timeout: *patience,
        margin: *clock_margin,
        marker_timeout: marker_patience(settings),
        shared_database,
        ..parlance_cache::CacheSettings::new(backend, env.random_numbers())
    };
    let (tier, shared) = match (backend, redis) {
        (Backend::Off | Backend::Memory, _) | (Backend::Redis | Backend::Hybrid, None) => {
            (None, None)
        }
        (Backend::Redis | Backend::Hybrid, Some(redis)) => {
            let (tier, shared) = connect(backend, redis, &settings.cache)?;
            (Some(tier), Some(decorate(shared)))
        }
    };
    let cache = parlance_app::cache::open(database, set_up, shared, env);
    if *asked == Backend::Hybrid && cache.backend() == Backend::Redis {
        "CACHE_BACKEND is hybrid, but with a Redis Cluster nothing is copied into this process"
            .clone_into(&mut note);
    }
    if !note.is_empty() {
        tracing::warn!(backend = cache.backend().as_str(), "{note}");
    }
    Ok(Caching {
        cache,
        tier,
        note,
        _lock: lock,
    })
}

/// Without a hold the deliveries need no comparison.
fn marker_patience(settings: &Settings) -> Duration {
    if settings.database.hold_after_restore {
        MARKER_PATIENCE
    } else {
        Duration::ZERO
    }
}

fn connect(
    backend: Backend,
    redis: &parlance_cache::redis::RedisSettings,
    settings: &CacheSettings,
) -> Result<(Arc<RedisTier>, Shared), StartError> {
    let tier = RedisTier::connect(redis).map_err(StartError::Redis)?;
    let tracking = if backend == Backend::Hybrid && !settings.is_cluster() {
        Some(InvalidationConnection::new(redis).map_err(StartError::Redis)? as _)
    } else {
        None
    };
    let remote = Arc::clone(&tier) as _;
    Ok((tier, Shared { remote, tracking }))
}

fn allowed(settings: &Settings) -> Result<Allowed, StartError> {
    let backend = settings.cache.backend;
    match &settings.database.url {
        DatabaseUrl::Postgres(_) => Ok(Allowed {
            backend,
            shared_database: true,
            lock: None,
            note: String::new(),
        }),
        DatabaseUrl::Sqlite(path) => beside(path, backend),
    }
}

/// By the lock beside the database.
fn beside(database: &Path, backend: Backend) -> Result<Allowed, StartError> {
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
    if backend == Backend::Memory && is_got(file.try_lock()).map_err(failed)? {
        return Ok(Allowed {
            backend,
            shared_database: false,
            lock: Some(file),
            note: String::new(),
        });
    }
    if !is_got(file.try_lock_shared()).map_err(failed)? {
        return Err(StartError::InUse(database.to_owned()));
    }
    let (backend, note) = if backend == Backend::Memory {
        let note = "CACHE_BACKEND is memory, but another process uses this database: nothing is cached in this one";
        (Backend::Off, note)
    } else {
        (backend, "")
    };
    Ok(Allowed {
        backend,
        shared_database: true,
        lock: Some(file),
        note: note.to_owned(),
    })
}

/// However the database is called, its lock has one name.
fn lock_path(database: &Path) -> PathBuf {
    let found = database.canonicalize();
    let mut path = found.map_or_else(|_| database.into(), PathBuf::into_os_string);
    path.push(".lock");
    path.into()
}

fn is_got(tried: Result<(), TryLockError>) -> std::io::Result<bool> {
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
        matches!(beside(path, backend), Err(StartError::InUse(_)))
    }

    #[test]
    fn whoever_serves_from_memory_is_alone() {
        let (_file, path) = file();
        let first = beside(&path, Backend::Memory).unwrap();
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
            beside(&path, Backend::Memory).unwrap().backend,
            Backend::Memory
        );
    }

    #[test]
    fn beside_others_nobody_serves_from_memory() {
        let (_file, path) = file();
        let others = [Backend::Off, Backend::Hybrid].map(|of| beside(&path, of).unwrap());
        assert!(
            others
                .iter()
                .all(|o| o.shared_database && o.note.is_empty())
        );
        let late = beside(&path, Backend::Memory).unwrap();
        assert!(late.backend == Backend::Off && late.shared_database);
        assert!(late.note.contains("another process"), "{}", late.note);
    }

    #[test]
    fn a_file_by_another_name_is_the_same_file() {
        let (_file, path) = file();
        let link = path.with_extension("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let _first = beside(&path, Backend::Memory).unwrap();
        assert!(is_refused(&link, Backend::Off));
    }
}
