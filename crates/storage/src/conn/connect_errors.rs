//! Records why no connection to Postgres can be opened.

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::ConnectionResult;
use parking_lot::{Mutex, MutexGuard};

use crate::error::StorageError;

/// Interval at which a lasting failure is logged.
const LOG_EVERY: Duration = Duration::from_secs(30);

/// The last failure to open a connection; cleared when one is opened. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConnectErrors(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// A connection has been opened before. Until then the start itself fails and reports the reason.
    started: bool,
    last: Option<String>,
    logged: Option<Instant>,
}

impl ConnectErrors {
    /// Records the result of an attempt, and logs a failure at most once per [`LOG_EVERY`].
    pub(crate) fn note<T>(&self, attempt: &ConnectionResult<T>) {
        let mut inner = self.lock();
        let Err(error) = attempt else {
            (inner.started, inner.last, inner.logged) = (true, None, None);
            return;
        };
        let error = error.to_string();
        let is_due = inner.logged.is_none_or(|at| at.elapsed() >= LOG_EVERY);
        if inner.started && is_due {
            inner.logged = Some(Instant::now());
            tracing::warn!(error, "cannot connect to the database");
        }
        inner.last = Some(error);
    }

    /// Returns the error for a caller that got no connection in time.
    pub(crate) fn no_connection(&self) -> StorageError {
        self.lock()
            .last
            .as_ref()
            .map_or(StorageError::Busy, |error| {
                StorageError::Unavailable(format!(
                    "no free connection in time; the last attempt to open one failed: {error}"
                ))
            })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use diesel::ConnectionError;

    use super::*;

    #[test]
    fn a_failure_is_reported_until_a_connection_is_opened() {
        let errors = ConnectErrors::default();
        assert!(matches!(errors.no_connection(), StorageError::Busy));
        errors.note::<()>(&Err(ConnectionError::BadConnection("refused".to_owned())));
        let error = errors.no_connection();
        assert!(
            matches!(&error, StorageError::Unavailable(why) if why.ends_with(": refused")),
            "{error:?}"
        );
        errors.note(&Ok(()));
        assert!(matches!(errors.no_connection(), StorageError::Busy));
    }
}
