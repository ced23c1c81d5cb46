//! Counters of the auditor.

use std::sync::atomic::{AtomicU64, Ordering};

use parlance_cache::{Key, Kind};

use super::keys::is_value;

/// Counters of the auditor.
#[derive(Debug, Default)]
pub struct Audited([Counts; Kind::ALL.len()]);

/// Counters of one kind.
#[derive(Debug, Default)]
struct Counts {
    /// Values compared.
    checked: AtomicU64,
    /// Violations.
    violations: AtomicU64,
}

impl Audited {
    /// Each kind with the number of values compared and of violations.
    pub fn by_kind(&self) -> impl Iterator<Item = (Kind, u64, u64)> {
        let kinds = Kind::ALL.into_iter().zip(&self.0);
        kinds
            .filter(|(kind, _)| is_value(*kind))
            .map(|(kind, counts)| {
                let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
                (kind, count(&counts.checked), count(&counts.violations))
            })
    }

    /// Number of values compared and of violations.
    pub(crate) fn in_all(&self) -> (u64, u64) {
        self.by_kind()
            .fold((0, 0), |(checked, violations), (_, c, v)| {
                (checked + c, violations + v)
            })
    }

    /// Counts a finding.
    pub(crate) fn note(&self, key: Key, finding: Finding) {
        let mut kinds = Kind::ALL.into_iter().zip(&self.0);
        let Some((_, counts)) = kinds.find(|(kind, _)| *kind == key.kind()) else {
            return;
        };
        let (checked, violations) = match finding {
            Finding::Absent => (0, 0),
            Finding::Match => (1, 0),
            Finding::Violation => (1, 1),
        };
        counts.checked.fetch_add(checked, Ordering::Relaxed);
        counts.violations.fetch_add(violations, Ordering::Relaxed);
        if finding == Finding::Violation {
            tracing::error!(%key, "a cached value is not what the database says");
        }
    }
}

/// Result of comparing one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The value does not exist any more.
    Absent,
    /// The value is what the database holds.
    Match,
    /// The value differs.
    Violation,
}
