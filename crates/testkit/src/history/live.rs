//! Counts violations of the first rule while the history is recorded. The check afterwards is authoritative, but needs
//! the whole history.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use parking_lot::Mutex;

use super::{HistoryTime, Key, RACE_WINDOW, Span};

/// Counters so far, for rows only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// Completed reads.
    pub reads: usize,
    /// Reads within 5 ms of the start or end of a write of their key.
    pub races: usize,
    /// Acknowledged writes.
    pub writes: usize,
    /// Reads older than a version that was acknowledged before they began.
    pub stale: usize,
    /// Longest staleness among them.
    pub stalest: Duration,
}

/// Counts operations, which must be added in the order in which they happen.
#[derive(Debug, Default)]
pub struct Live(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    rows: HashMap<Key, Row>,
    counts: LiveCounts,
}

#[derive(Debug, Default)]
struct Row {
    /// Time of the first acknowledgement of each version.
    acknowledged: BTreeMap<u64, HistoryTime>,
    /// Last time when a write began or was acknowledged.
    written: Option<HistoryTime>,
    /// End times of reads that are not races so far, in the order in which they were added.
    quiet: VecDeque<HistoryTime>,
}

impl Row {
    /// Records the start or acknowledgement of a write; returns how many earlier reads become races by it.
    fn write(&mut self, at: HistoryTime) -> usize {
        self.written = self.written.max(Some(at));
        let mut races = 0;
        while let Some(read) = self.quiet.pop_back() {
            if read + RACE_WINDOW < at {
                self.quiet.push_back(read);
                break;
            }
            races += 1;
        }
        races
    }

    /// Returns for how long a newer version had been acknowledged when a read of this version began.
    fn stale_for(&self, version: u64, began: HistoryTime) -> Option<Duration> {
        let newer = self.acknowledged.range(version.saturating_add(1)..);
        let since = newer.map(|(_, at)| *at).min()?;
        (since < began).then(|| began.saturating_sub(since))
    }
}

impl Live {
    /// Returns the counters so far.
    pub fn counts(&self) -> LiveCounts {
        self.with(|state| state.counts)
    }

    /// Records the start of a write.
    pub fn begin_write(&self, key: Key, at: HistoryTime) {
        self.with(|State { rows, counts }| {
            counts.races += rows.entry(key).or_default().write(at);
        });
    }

    /// Records the acknowledgement of a write that created this version.
    pub fn acknowledged(&self, key: Key, span: Span, version: u64) {
        self.with(|State { rows, counts }| {
            let row = rows.entry(key).or_default();
            counts.writes += 1;
            counts.races += row.write(span.ended);
            let first = row.acknowledged.entry(version).or_insert(span.ended);
            *first = span.ended.min(*first);
        });
    }

    /// Records a read that returned this version.
    pub fn read(&self, key: Key, span: Span, version: u64) {
        self.with(|State { rows, counts }| {
            let row = rows.entry(key).or_default();
            counts.reads += 1;
            if row.written.is_some_and(|at| at + RACE_WINDOW >= span.began) {
                counts.races += 1;
            } else {
                row.quiet.push_back(span.ended);
            }
            if let Some(stale) = row.stale_for(version, span.began) {
                counts.stale += 1;
                counts.stalest = counts.stalest.max(stale);
            }
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock())
    }
}
