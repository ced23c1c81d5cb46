//! What clients saw, and whether a store that is never stale could have shown it.
//!
//! Rows carry a version that every write raises by one, so the check is linear, not a search: a read returns at least what was
//! acknowledged before it began (R1), at least what any read had returned that ended before it began (R2), and nothing that no
//! write had begun to make before it ended. The newest messages of a conversation are checked by the same rules, message by
//! message.
//!
//! A [`Recorder`] hands a [`Log`] to every task; when the logs are gone, [`Recorder::finish`] gives the [`History`]. Until then
//! [`Recorder::so_far`] counts.

mod lists;
mod live;
mod record;
mod report;
mod versions;

use std::time::Duration;

pub use live::{Live, LiveCounts};
pub use record::{Begun, BegunChange, BegunWrite, Log, Recorder};
pub use report::{Report, Rule, Violation};

/// Which row, or which list: a number of the test's own.
pub type Key = u32;

/// When, since the history began.
pub type Moment = Duration;

/// From when to when something went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Before it was asked for.
    pub began: Moment,
    /// After it was answered.
    pub ended: Moment,
}

/// A read of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// Of which row.
    pub key: Key,
    /// When.
    pub span: Span,
    /// What it returned.
    pub version: u64,
}

/// A write of a row, which raises its version by one at most. The first makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Write {
    /// Of which row.
    pub key: Key,
    /// When it was asked for.
    pub began: Moment,
    /// When it was acknowledged, and what it made; nobody knows what came of it otherwise.
    pub acknowledged: Option<(Moment, u64)>,
}

/// A message in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    /// Its place in the conversation.
    pub sequence: u64,
    /// Of the message.
    pub version: u64,
}

/// What a change does to the messages of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// One more; its sequence is the next.
    Send,
    /// This message gets another version.
    Edit(u64),
    /// This message goes.
    Delete(u64),
}

/// A change of the messages of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListWrite {
    /// Of which list.
    pub key: Key,
    /// What it does.
    pub change: Change,
    /// When it was asked for.
    pub began: Moment,
    /// When it was acknowledged, and the message that it made, or what was left of the deleted one.
    pub acknowledged: Option<(Moment, Element)>,
}

/// A read of the newest messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRead {
    /// Of which list.
    pub key: Key,
    /// When.
    pub span: Span,
    /// What it returned, newest first.
    pub elements: Vec<Element>,
    /// How many it asked for.
    pub limit: usize,
}

/// What clients did and saw, in any order.
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
    /// Checks all of it.
    pub fn check(&self) -> Report {
        let mut report = versions::check(&self.reads, &self.writes);
        report.add(lists::check(&self.list_reads, &self.list_writes));
        report
    }
}

/// What happens in the order of time. Of what has one moment, this is the order that accuses nobody: what was begun then counts
/// for a read that ended then, and what ended then does not count for a read that began then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    WriteBegins,
    ReadBegins,
    ReadEnds,
    WriteEnds,
}

/// The steps of all reads and writes of one key, each with the number of its read or write, in order.
fn timeline(
    reads: impl Iterator<Item = Span>,
    writes: impl Iterator<Item = (Moment, Option<Moment>)>,
) -> Vec<(Moment, Step, usize)> {
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

/// A read this near to the beginning or the end of a write of its key is a race.
const NEAR: Duration = Duration::from_millis(5);

/// How many reads were under way within 5 ms of the moment when a write of their key began or was acknowledged. What lies in the
/// middle of a long write proves little: nothing happens to the row then.
fn races(
    reads: impl Iterator<Item = Span>,
    writes: impl Iterator<Item = (Moment, Option<Moment>)>,
) -> usize {
    let ends = writes.flat_map(|(began, ended)| std::iter::once(began).chain(ended));
    let mut ends: Vec<Moment> = ends.collect();
    ends.sort_unstable();
    reads
        .filter(|read| {
            let next = ends.partition_point(|end| *end + NEAR < read.began);
            ends.get(next).is_some_and(|end| *end <= read.ended + NEAR)
        })
        .count()
}
