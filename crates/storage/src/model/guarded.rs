//! Outcome of a guarded update.

/// Outcome of an update that is guarded by the version that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Guarded {
    /// The row was updated.
    Updated,
    /// The row has another version, or was removed: nothing was changed.
    Stale,
}

impl From<bool> for Guarded {
    fn from(updated: bool) -> Self {
        if updated { Self::Updated } else { Self::Stale }
    }
}
