//! Lock of a SQLite database file, which decides whether an instance may cache in its memory.
//!
//! On SQLite the database cannot cheaply notify instances of each other, so they take a lock next to the database file. An instance
//! that uses the `memory` cache takes it exclusively, since it would not be notified of writes of another process. Instances
//! without that cache share it.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::settings::Backend;

/// Lock of a database file, held until it is dropped, with the backend that it permits.
#[derive(Debug)]
pub struct DatabaseLock {
    backend: Backend,
    is_shared: bool,
    _file: File,
}

/// Failure to take the lock of a database file.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseLockError {
    /// The lock file next to the database file cannot be locked.
    #[error("cannot lock {}: {source}", path.display())]
    NotLockable {
        /// Path of the lock file.
        path: PathBuf,
        /// Error of the system.
        source: std::io::Error,
    },
    /// Another process uses the `memory` cache on this database and has locked it exclusively.
    #[error("{}: another process has locked this database for its memory cache", .0.display())]
    InUse(PathBuf),
}

impl DatabaseLock {
    /// Takes the lock of a database file for an instance with this backend.
    pub fn take(database: &Path, backend: Backend) -> Result<Self, DatabaseLockError> {
        let path = lock_path(database);
        let failed = |source| DatabaseLockError::NotLockable {
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
            return Ok(Self {
                backend,
                is_shared: false,
                _file: file,
            });
        }
        if !is_locked(file.try_lock_shared()).map_err(failed)? {
            return Err(DatabaseLockError::InUse(database.to_owned()));
        }
        Ok(Self {
            backend: match backend {
                Backend::Memory => Backend::Off,
                Backend::Off | Backend::Redis | Backend::Hybrid => backend,
            },
            is_shared: true,
            _file: file,
        })
    }

    /// Backend that the instance may use: not the `memory` cache, while another process has the lock.
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// Whether other instances may write to the database.
    pub const fn is_shared(&self) -> bool {
        self.is_shared
    }
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
        matches!(
            DatabaseLock::take(path, backend),
            Err(DatabaseLockError::InUse(_))
        )
    }

    #[test]
    fn the_memory_cache_takes_the_lock_exclusively() {
        let (_file, path) = file();
        let first = DatabaseLock::take(&path, Backend::Memory).unwrap();
        assert!(first.backend() == Backend::Memory && !first.is_shared());
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
            DatabaseLock::take(&path, Backend::Memory)
                .unwrap()
                .backend(),
            Backend::Memory
        );
    }

    #[test]
    fn the_memory_cache_is_off_while_another_process_has_the_lock() {
        let (_file, path) = file();
        let others =
            [Backend::Off, Backend::Hybrid].map(|of| DatabaseLock::take(&path, of).unwrap());
        assert!(others.iter().all(DatabaseLock::is_shared));
        let backends: Vec<Backend> = others.iter().map(DatabaseLock::backend).collect();
        assert_eq!(backends, [Backend::Off, Backend::Hybrid]);
        let late = DatabaseLock::take(&path, Backend::Memory).unwrap();
        assert!(late.backend() == Backend::Off && late.is_shared());
    }

    #[test]
    fn a_symbolic_link_leads_to_the_same_lock() {
        let (_file, path) = file();
        let link = path.with_extension("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let _first = DatabaseLock::take(&path, Backend::Memory).unwrap();
        assert!(is_refused(&link, Backend::Off));
    }
}
