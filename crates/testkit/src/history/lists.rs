//! Lists of the newest messages: every known message is there, or newer ones fill the list.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Change, Element, Key, ListRead, ListWrite, Moment, Report, Rule, Span, Step, Violation, races,
    timeline,
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

/// What is known of a message: that it has at least this version, or is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Version(u64),
    Deleted,
}

/// What is known of the messages of a list, and since when.
#[derive(Default)]
struct Known(BTreeMap<u64, (State, Span)>);

impl Known {
    fn learn(&mut self, sequence: u64, state: State, span: Span) {
        let known = self.0.entry(sequence).or_insert((state, span));
        if state > known.0 {
            *known = (state, span);
        }
    }
}

fn ends(write: &ListWrite) -> (Moment, Option<Moment>) {
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
        let (mut acked, mut returned, mut sends) = (Known::default(), Known::default(), 0);
        for (_, step, number) in timeline(spans(), writes()) {
            match step {
                Step::WriteBegins => {
                    sends += u64::from(self.writes[number].change == Change::Send);
                }
                Step::WriteEnds => learn_of(self.writes[number], &mut acked),
                Step::ReadBegins => {
                    let read = self.reads[number];
                    let found = disorder(read)
                        .or_else(|| missing(read, &acked, &deletions, Rule::StaleAfterAck))
                        .or_else(|| missing(read, &returned, &deletions, Rule::NewThenOld));
                    report.violations.extend(found);
                }
                Step::ReadEnds => {
                    let read = self.reads[number];
                    for Element { sequence, version } in &read.elements {
                        returned.learn(*sequence, State::Version(*version), read.span);
                    }
                    let newest = read.elements.iter().map(|e| e.sequence).max();
                    if let Some(newest) = newest.filter(|newest| *newest > sends) {
                        let what = format!("returns message {newest}, and {sends} sends had begun");
                        report
                            .violations
                            .push(violation(read, Rule::Future, what, None));
                    }
                }
            }
        }
        report
    }

    /// When the first deletion of each message began.
    fn deletions(&self) -> BTreeMap<u64, Moment> {
        let mut first: BTreeMap<u64, Moment> = BTreeMap::new();
        for write in &self.writes {
            if let Change::Delete(sequence) = write.change {
                let began = first.entry(sequence).or_insert(write.began);
                *began = write.began.min(*began);
            }
        }
        first
    }
}

fn learn_of(write: &ListWrite, known: &mut Known) {
    if let Some((ended, element)) = write.acknowledged {
        let began = write.began;
        let state = match write.change {
            Change::Send | Change::Edit(_) => State::Version(element.version),
            Change::Delete(_) => State::Deleted,
        };
        known.learn(element.sequence, state, Span { began, ended });
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
    let falls = read
        .elements
        .is_sorted_by(|newer, older| newer.sequence > older.sequence);
    let sequences: Vec<u64> = read.elements.iter().map(|e| e.sequence).collect();
    (!falls || read.elements.len() > read.limit).then(|| {
        let what = format!("of at most {} returns {sequences:?}", read.limit);
        violation(read, Rule::Disorder, what, None)
    })
}

/// Something that was known before the read began and that it does not show.
fn missing(
    read: &ListRead,
    known: &Known,
    deletions: &BTreeMap<u64, Moment>,
    rule: Rule,
) -> Option<Violation> {
    let is_full = read.elements.len() >= read.limit;
    // What is older than a full list's last need not be there.
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
            (State::Deleted, Some(_)) => format!("still holds the deleted message {sequence}"),
            (State::Version(known), Some(shown)) if shown >= known => return None,
            (State::Version(known), Some(shown)) => {
                format!("holds message {sequence} as v{shown}, which was v{known} before")
            }
            (State::Version(_), None) if may_be_gone() => return None,
            (State::Version(_), None) => {
                format!("lacks message {sequence}, which was there before")
            }
        };
        Some(violation(read, rule, what, Some(*span)))
    })
}
