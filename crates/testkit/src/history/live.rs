//! The first rule counted while the history happens: the check has the last word, but needs all of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Key, Moment, NEAR, Span};

/// What was counted so far, of rows alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// Reads that have returned.
    pub reads: usize,
    /// Of these, reads within 5 ms of the beginning or the end of a write of their key.
    pub races: usize,
    /// Writes that were acknowledged.
    pub writes: usize,
    /// Reads that were older than what was acknowledged before they began.
    pub stale: usize,
    /// How long the stalest of them had been so.
    pub stalest: Duration,
}

/// Counts what it is told, in the order in which it happens.
#[derive(Debug, Default)]
pub struct Live(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rows: HashMap<Key, Row>,
    tally: LiveCounts,
}

#[derive(Debug, Default)]
struct Row {
    /// When each version was first acknowledged.
    acknowledged: BTreeMap<u64, Moment>,
    /// The last moment when a write began or was acknowledged.
    written: Option<Moment>,
    /// The ends of reads that are no races as yet, in the order in which they were told.
    quiet: VecDeque<Moment>,
}

impl Row {
    /// A write begins or is acknowledged: how many reads are found to be races by that.
    fn write(&mut self, at: Moment) -> usize {
        self.written = self.written.max(Some(at));
        let mut races = 0;
        while let Some(read) = self.quiet.pop_back() {
            if read + NEAR < at {
                self.quiet.push_back(read);
                break;
            }
            races += 1;
        }
        races
    }

    /// How long something newer had been acknowledged when a read began that returned this.
    fn stale_for(&self, version: u64, began: Moment) -> Option<Duration> {
        let newer = self.acknowledged.range(version.saturating_add(1)..);
        let since = newer.map(|(_, at)| *at).min()?;
        (since < began).then(|| began.saturating_sub(since))
    }
}

impl Live {
    /// What was counted so far.
    pub fn tally(&self) -> LiveCounts {
        self.with(|state| state.tally)
    }

    /// A write begins.
    pub fn begin_write(&self, key: Key, at: Moment) {
        self.with(|State { rows, tally }| {
            tally.races += rows.entry(key).or_default().write(at);
        });
    }

    /// A write was acknowledged, and made this version.
    pub fn acknowledged(&self, key: Key, span: Span, version: u64) {
        self.with(|State { rows, tally }| {
            let row = rows.entry(key).or_default();
            tally.writes += 1;
            tally.races += row.write(span.ended);
            let first = row.acknowledged.entry(version).or_insert(span.ended);
            *first = span.ended.min(*first);
        });
    }

    /// A read has returned this version.
    pub fn read(&self, key: Key, span: Span, version: u64) {
        self.with(|State { rows, tally }| {
            let row = rows.entry(key).or_default();
            tally.reads += 1;
            if row.written.is_some_and(|at| at + NEAR >= span.began) {
                tally.races += 1;
            } else {
                row.quiet.push_back(span.ended);
            }
            if let Some(stale) = row.stale_for(version, span.began) {
                tally.stale += 1;
                tally.stalest = tally.stalest.max(stale);
            }
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
