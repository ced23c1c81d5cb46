//! Counts of open connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Number of open connections. Clones share one count.
#[derive(Debug, Clone, Default)]
pub struct OpenConnections(Arc<AtomicI64>);

impl OpenConnections {
    /// Returns the current number.
    pub fn count(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn enter(&self) -> OpenGuard {
        self.0.fetch_add(1, Ordering::Relaxed);
        OpenGuard(self.clone())
    }
}

/// Counts one connection until it is dropped.
#[derive(Debug)]
pub(super) struct OpenGuard(OpenConnections);

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
