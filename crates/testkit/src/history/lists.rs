//! Lists of the newest messages: each known message is in the list, or newer ones fill it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Change, Element, HistoryTime, Key, ListRead, ListWrite, Report, Rule, Span, Step, Violation,
    races, timeline,
};

#[derive(Default)]
struct List<'a> {
    reads: Vec<&'a ListRead>,
    writes: Vec<&'a ListWrite>,
}

pub(super) fn check(reads: &[ListRead], writes: &[ListWrite]) -> Report {
    let mut lists: BTreeMap<Key, List<'_>> = BTreeMap::new();
    for read in reads {
        lists.entry(read.key).or_default().reads.push(read);
    }
    for write in writes {
        lists.entry(write.key).or_default().writes.push(write);
    }
    let mut report = Report::default();
    for list in lists.values() {
        report.add(list.check());
    }
    report
}

/// Known lower bound of a message's state: at least this version, or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Version(u64),
    Deleted,
}

/// Known states of the messages of a list, each with the operation that established it.
#[derive(Default)]
struct Known(BTreeMap<u64, (State, Span)>);

impl Known {
    fn raise(&mut self, sequence: u64, state: State, span: Span) {
        let known = self.0.entry(sequence).or_insert((state, span));
        if state > known.0 {
            *known = (state, span);
        }
    }
}

fn ends(write: &ListWrite) -> (HistoryTime, Option<HistoryTime>) {
    (write.began, write.acknowledged.map(|(at, _)| at))
}

impl List<'_> {
    fn check(&self) -> Report {
        let spans = || self.reads.iter().map(|read| read.span);
        let writes = || self.writes.iter().copied().map(ends);
        let acknowledged = writes().filter(|(_, ended)| ended.is_some()).count();
        let mut report = Report {
            reads: self.reads.len(),
            races: races(spans(), writes()),
            writes: acknowledged,
            unknown_writes: self.writes.len() - acknowledged,
            violations: Vec::new(),
        };
        let deletions = self.deletions();
        let (mut acknowledged_before, mut returned, mut sends) =
            (Known::default(), Known::default(), 0);
        for (_, step, number) in timeline(spans(), writes()) {
            match step {
                Step::WriteBegins => {
                    sends += u64::from(self.writes[number].change == Change::Send);
                }
                Step::WriteEnds => record_write(self.writes[number], &mut acknowledged_before),
                Step::ReadBegins => {
                    let read = self.reads[number];
                    let violation = disorder(read)
                        .or_else(|| {
                            missing(read, &acknowledged_before, &deletions, Rule::StaleAfterAck)
                        })
                        .or_else(|| missing(read, &returned, &deletions, Rule::NewThenOld));
                    report.violations.extend(violation);
                }
                Step::ReadEnds => {
                    let read = self.reads[number];
                    for Element { sequence, version } in &read.elements {
                        returned.raise(*sequence, State::Version(*version), read.span);
                    }
                    let newest = read.elements.iter().map(|e| e.sequence).max();
                    if let Some(newest) = newest.filter(|newest| *newest > sends) {
                        let what =
                            format!("returns message {newest}, but only {sends} sends had started");
                        report
                            .violations
                            .push(violation(read, Rule::Future, what, None));
                    }
                }
            }
        }
        report
    }

    /// Returns when the first deletion of each message began.
    fn deletions(&self) -> BTreeMap<u64, HistoryTime> {
        let mut first: BTreeMap<u64, HistoryTime> = BTreeMap::new();
        for write in &self.writes {
            if let Change::Delete(sequence) = write.change {
                let began = first.entry(sequence).or_insert(write.began);
                *began = write.began.min(*began);
            }
        }
        first
    }
}

fn record_write(write: &ListWrite, known: &mut Known) {
    if let Some((ended, element)) = write.acknowledged {
        let began = write.began;
        let state = match write.change {
            Change::Send | Change::Edit(_) => State::Version(element.version),
            Change::Delete(_) => State::Deleted,
        };
        known.raise(element.sequence, state, Span { began, ended });
    }
}

fn violation(read: &ListRead, rule: Rule, what: String, before: Option<Span>) -> Violation {
    let since = before.map_or(read.span.began, |before| before.ended);
    Violation {
        rule,
        key: read.key,
        read: read.span,
        what,
        before,
        stale_for: match rule {
            Rule::StaleAfterAck => read.span.began.saturating_sub(since),
            Rule::NewThenOld | Rule::Future | Rule::Disorder => Duration::ZERO,
        },
    }
}

fn disorder(read: &ListRead) -> Option<Violation> {
    let is_descending = read
        .elements
        .is_sorted_by(|newer, older| newer.sequence > older.sequence);
    let sequences: Vec<u64> = read.elements.iter().map(|e| e.sequence).collect();
    (!is_descending || read.elements.len() > read.limit).then(|| {
        let what = format!("with limit {} returns {sequences:?}", read.limit);
        violation(read, Rule::Disorder, what, None)
    })
}

/// Finds a message that was known before the read began and that the read does not show.
fn missing(
    read: &ListRead,
    known: &Known,
    deletions: &BTreeMap<u64, HistoryTime>,
    rule: Rule,
) -> Option<Violation> {
    let is_full = read.elements.len() >= read.limit;
    // A full list need not contain messages older than its last.
    let oldest = read.elements.last().map_or(0, |last| last.sequence);
    let from = if is_full { oldest } else { 0 };
    let shown: BTreeMap<u64, u64> = read
        .elements
        .iter()
        .map(|e| (e.sequence, e.version))
        .collect();
    known.0.range(from..).find_map(|(sequence, (state, span))| {
        let may_be_gone = || {
            deletions
                .get(sequence)
                .is_some_and(|began| *began <= read.span.ended)
        };
        let what = match (state, shown.get(sequence)) {
            (State::Deleted, None) => return None,
            (State::Deleted, Some(_)) => format!("still has the deleted message {sequence}"),
            (State::Version(known), Some(shown)) if shown >= known => return None,
            (State::Version(known), Some(shown)) => {
                format!("has message {sequence} as v{shown}, although v{known} was known")
            }
            (State::Version(_), None) if may_be_gone() => return None,
            (State::Version(_), None) => {
                format!("lacks message {sequence}, although it was known")
            }
        };
        Some(violation(read, rule, what, Some(*span)))
    })
}
