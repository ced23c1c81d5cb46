//! Result of a check.

use std::fmt;
use std::time::Duration;

use super::{Key, Span};

/// Violated rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// R1: older than a version that was acknowledged before the read began.
    StaleAfterAck,
    /// R2 but not R1: older than what a completed read had returned.
    NewThenOld,
    /// A version that no write had started to create.
    Future,
    /// A list out of order or with a duplicate message.
    Disorder,
}

/// A read that is impossible for a store that is never stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Violated rule.
    pub rule: Rule,
    /// The row or list.
    pub key: Key,
    /// Time of the read.
    pub read: Span,
    /// Actual and expected result.
    pub what: String,
    /// Time of the write or read of the expected version.
    pub before: Option<Span>,
    /// For how long a newer version had been acknowledged when the read began.
    pub stale_for: Duration,
}

/// Result of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Checked reads.
    pub reads: usize,
    /// Reads within 5 ms of the start or end of a write of their key; the others prove little.
    pub races: usize,
    /// Acknowledged writes.
    pub writes: usize,
    /// Writes with an unknown outcome.
    pub unknown_writes: usize,
    /// Violations, in the order of the starts of the reads within each key.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Whether there are no violations.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Upper bound (95 % confidence) of the failure rate of races if the report is clean: 3/N. 1 without races.
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    pub fn bound(&self) -> f64 {
        (3.0 / self.races.max(1) as f64).min(1.0)
    }

    /// Returns the longest staleness.
    pub fn stalest(&self) -> Duration {
        let stale = self.violations.iter().map(|v| v.stale_for);
        stale.max().unwrap_or_default()
    }

    /// Adds another report.
    pub fn add(&mut self, other: Self) {
        let Self {
            reads,
            races,
            writes,
            unknown_writes,
            violations,
        } = other;
        self.reads += reads;
        self.races += races;
        self.writes += writes;
        self.unknown_writes += unknown_writes;
        self.violations.extend(violations);
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(
            f,
            "{:?}, key {}: the read of {:.3} to {:.3} ms {}",
            self.rule,
            self.key,
            ms(self.read.began),
            ms(self.read.ended),
            self.what,
        )?;
        if let Some(before) = self.before {
            let (began, ended) = (ms(before.began), ms(before.ended));
            write!(f, ", of {began:.3} to {ended:.3} ms")?;
        }
        if self.stale_for > Duration::ZERO {
            write!(f, "; stale for {:.3} ms", ms(self.stale_for))?;
        }
        Ok(())
    }
}

/// Maximum number of violations shown.
const MAX_SHOWN: usize = 10;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} reads, {} races, {} writes and {} unknown, {} violations",
            self.reads,
            self.races,
            self.writes,
            self.unknown_writes,
            self.violations.len(),
        )?;
        if self.is_clean() {
            return write!(f, ", 3/N {:.1e}", self.bound());
        }
        for violation in self.violations.iter().take(MAX_SHOWN) {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}
