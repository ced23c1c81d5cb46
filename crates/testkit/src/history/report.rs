//! What came of a check.

use std::fmt;
use std::time::Duration;

use super::{Key, Span};

/// Which promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// R1: older than what was acknowledged before the read began.
    StaleAfterAck,
    /// R2, and not R1: older than what a finished read had returned.
    NewThenOld,
    /// What nobody had begun to write.
    Future,
    /// A list that is out of order, or holds a message twice.
    Disorder,
}

/// A read that no store could have answered so that is never stale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What it breaks.
    pub rule: Rule,
    /// Of which row, or list.
    pub key: Key,
    /// When it was.
    pub read: Span,
    /// What it returned instead of what.
    pub what: String,
    /// When what it should have seen was written, or read.
    pub before: Option<Span>,
    /// How long something newer had been acknowledged when the read began.
    pub stale_for: Duration,
}

/// What came of a check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Reads that were checked.
    pub reads: usize,
    /// Of these, reads within 5 ms of the beginning or the end of a write of their key: the others prove little.
    pub races: usize,
    /// Writes that were acknowledged.
    pub writes: usize,
    /// Writes of which nobody knows what came of them.
    pub unknown_writes: usize,
    /// What was wrong, in the order of the reads' beginnings within each key.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Whether nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// If so: with 95 % confidence a race goes wrong less often than this (3/N). 1 for none.
    #[expect(clippy::cast_precision_loss, reason = "a figure to be read")]
    pub fn bound(&self) -> f64 {
        (3.0 / self.races.max(1) as f64).min(1.0)
    }

    /// How long the stalest read had been so.
    pub fn stalest(&self) -> Duration {
        let stale = self.violations.iter().map(|v| v.stale_for);
        stale.max().unwrap_or_default()
    }

    /// Adds what came of another.
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
        let ms = |moment: Duration| moment.as_secs_f64() * 1000.0;
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

/// So many are told of; the others are like them.
const TOLD: usize = 10;

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
        for violation in self.violations.iter().take(TOLD) {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}
