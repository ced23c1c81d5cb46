//! Check of rows by their version.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{HistoryTime, Key, Read, Report, Rule, Span, Step, Violation, Write, races, timeline};

#[derive(Default)]
struct Row<'a> {
    reads: Vec<&'a Read>,
    writes: Vec<&'a Write>,
}

pub(super) fn check(reads: &[Read], writes: &[Write]) -> Report {
    let mut rows: BTreeMap<Key, Row<'_>> = BTreeMap::new();
    for read in reads {
        rows.entry(read.key).or_default().reads.push(read);
    }
    for write in writes {
        rows.entry(write.key).or_default().writes.push(write);
    }
    let mut report = Report::default();
    for row in rows.values() {
        report.add(row.check());
    }
    report
}

/// The highest version so far, and the operation that wrote or read it.
#[derive(Clone, Copy, Default)]
struct Floor {
    version: u64,
    span: Option<Span>,
}

impl Floor {
    fn raise(&mut self, version: u64, span: Span) {
        if version > self.version {
            *self = Self {
                version,
                span: Some(span),
            };
        }
    }
}

fn ends(write: &Write) -> (HistoryTime, Option<HistoryTime>) {
    (write.began, write.acknowledged.map(|(at, _)| at))
}

impl Row<'_> {
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
        let (mut acked, mut returned, mut begun) = (Floor::default(), Floor::default(), 0);
        for (_, step, number) in timeline(spans(), writes()) {
            match step {
                Step::WriteBegins => begun += 1,
                Step::WriteEnds => {
                    let write = self.writes[number];
                    if let Some((ended, version)) = write.acknowledged {
                        let began = write.began;
                        acked.raise(version, Span { began, ended });
                    }
                }
                Step::ReadBegins => {
                    let read = self.reads[number];
                    let stale = self.stale(read, acked, returned);
                    report.violations.extend(stale);
                }
                Step::ReadEnds => {
                    let read = self.reads[number];
                    returned.raise(read.version, read.span);
                    if read.version > begun {
                        let version = read.version;
                        let what =
                            format!("returns v{version}, but only {begun} writes had started");
                        report.violations.push(Violation {
                            rule: Rule::Future,
                            key: read.key,
                            read: read.span,
                            what,
                            before: None,
                            stale_for: Duration::ZERO,
                        });
                    }
                }
            }
        }
        report
    }

    fn stale(&self, read: &Read, acked: Floor, returned: Floor) -> Option<Violation> {
        let (rule, floor, how) = if read.version < acked.version {
            (Rule::StaleAfterAck, acked, "acknowledged")
        } else if read.version < returned.version {
            (Rule::NewThenOld, returned, "read")
        } else {
            return None;
        };
        let newer = self.writes.iter().filter_map(|write| write.acknowledged);
        let newer = newer.filter(|(_, version)| *version > read.version);
        let since = newer.map(|(at, _)| at).min();
        Some(Violation {
            rule,
            key: read.key,
            read: read.span,
            what: format!(
                "returns v{} after v{} was {how}",
                read.version, floor.version
            ),
            before: floor.span,
            stale_for: since.map_or(Duration::ZERO, |at| read.span.began.saturating_sub(at)),
        })
    }
}
