//! Histories of client operations, and the check whether a store that is never stale could have produced them.
//!
//! Rows have a version that every write raises by one, so the check is linear and needs no search. A read must return
//! at least what was acknowledged before it began (R1), at least what any read returned that ended before it began
//! (R2), and nothing that no write had started before it ended. Lists of the newest messages are checked by the same
//! rules, message by message.
//!
//! A [`Recorder`] gives a [`Log`] to every task. Once all logs are dropped, [`Recorder::finish`] returns the
//! [`History`]; before that, [`Recorder::so_far`] returns counters.

mod lists;
mod live;
mod record;
mod report;
mod versions;

use std::time::Duration;

pub use live::{Live, LiveCounts};
pub use record::{Begun, BegunChange, BegunWrite, Log, Recorder};
pub use report::{Report, Rule, Violation};

/// Number of a row or a list, chosen by the test.
pub type Key = u32;

/// Time since the start of the history.
pub type HistoryTime = Duration;

/// Duration of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Before the request.
    pub began: HistoryTime,
    /// After the response.
    pub ended: HistoryTime,
}

/// Read of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// The row.
    pub key: Key,
    /// Time of the read.
    pub span: Span,
    /// Returned version.
    pub version: u64,
}

/// Write of a row, which raises its version by at most one. The first write creates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// The row.
    pub key: Key,
    /// Time of the request.
    pub began: HistoryTime,
    /// Time of the acknowledgement and the new version; `None` if the outcome is unknown.
    pub acknowledged: Option<(HistoryTime, u64)>,
}

/// Message in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Its number in the conversation.
    pub sequence: u64,
    /// Version of the message.
    pub version: u64,
}

/// Effect of a change on the messages of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Adds a message with the next sequence.
    Send,
    /// Gives this message a new version.
    Edit(u64),
    /// Deletes this message.
    Delete(u64),
}

/// Change of the messages of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListWrite {
    /// The list.
    pub key: Key,
    /// The change.
    pub change: Change,
    /// Time of the request.
    pub began: HistoryTime,
    /// Time of the acknowledgement, and the new state of the message, or the last state of the deleted one.
    pub acknowledged: Option<(HistoryTime, Element)>,
}

/// Read of the newest messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRead {
    /// The list.
    pub key: Key,
    /// Time of the read.
    pub span: Span,
    /// Returned messages, newest first.
    pub elements: Vec<Element>,
    /// Requested number of messages.
    pub limit: usize,
}

/// Operations of clients, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Reads of rows.
    pub reads: Vec<Read>,
    /// Writes of rows.
    pub writes: Vec<Write>,
    /// Reads of lists.
    pub list_reads: Vec<ListRead>,
    /// Changes of lists.
    pub list_writes: Vec<ListWrite>,
}

impl History {
    /// Checks the whole history.
    pub fn check(&self) -> Report {
        let mut report = versions::check(&self.reads, &self.writes);
        report.add(lists::check(&self.list_reads, &self.list_writes));
        report
    }
}

/// Step of an operation, in order of time. Steps with equal times are ordered so that no read is accused wrongly: a
/// write that starts at that time counts for a read that ends then, and a write that ends then does not count for a
/// read that starts then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    WriteBegins,
    ReadBegins,
    ReadEnds,
    WriteEnds,
}

/// Returns the steps of all reads and writes of one key in order, each with the index of its operation.
fn timeline(
    reads: impl Iterator<Item = Span>,
    writes: impl Iterator<Item = (HistoryTime, Option<HistoryTime>)>,
) -> Vec<(HistoryTime, Step, usize)> {
    let mut steps = Vec::new();
    for (number, span) in reads.enumerate() {
        steps.push((span.began, Step::ReadBegins, number));
        steps.push((span.ended, Step::ReadEnds, number));
    }
    for (number, (began, ended)) in writes.enumerate() {
        steps.push((began, Step::WriteBegins, number));
        steps.extend(ended.map(|ended| (ended, Step::WriteEnds, number)));
    }
    steps.sort_unstable();
    steps
}

/// A read this close to the start or end of a write of its key is a race.
const RACE_WINDOW: Duration = Duration::from_millis(5);

/// Counts reads in progress within 5 ms of the start or acknowledgement of a write of their key. A read in the middle
/// of a long write proves little, because nothing happens to the row then.
fn races(
    reads: impl Iterator<Item = Span>,
    writes: impl Iterator<Item = (HistoryTime, Option<HistoryTime>)>,
) -> usize {
    let ends = writes.flat_map(|(began, ended)| std::iter::once(began).chain(ended));
    let mut ends: Vec<HistoryTime> = ends.collect();
    ends.sort_unstable();
    reads
        .filter(|read| {
            let next = ends.partition_point(|end| *end + RACE_WINDOW < read.began);
            ends.get(next)
                .is_some_and(|end| *end <= read.ended + RACE_WINDOW)
        })
        .count()
}
