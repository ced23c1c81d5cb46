//! A table, drawn in place on a terminal; elsewhere one line for each new fault, and the table at the end.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use parlance_testkit::history::LiveCounts;
use tokio::task::JoinHandle;

use crate::faults::Stage;
use crate::load::{Load, ReadCounts};
use crate::rig::{Outcome, Protocol, Rig};
use crate::verdict::stale;

/// Refresh interval.
const EVERY: Duration = Duration::from_millis(500);

/// Prints a line to the standard output. Errors are ignored: the output may be closed.
pub(crate) fn print_line(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// The figures of one protocol.
type Line = (Protocol, LiveCounts, ReadCounts);

fn percent(ReadCounts { answers, hits }: ReadCounts) -> usize {
    hits * 100 / answers.max(1)
}

fn table(lines: &[Line]) -> String {
    let mut text = format!(
        "{:<22}{:>8}{:>9}{:>9}{:>8}{:>12}{:>7}",
        "protocol", "writes", "reads", "races", "stale", "stalest", "hits"
    );
    for (protocol, tally, read_counts) in lines {
        let LiveCounts {
            reads,
            races,
            writes,
            stale,
            stalest,
        } = tally;
        let _ = write!(
            text,
            "\n{:<22}{writes:>8}{reads:>9}{races:>9}{stale:>8}{:>9} ms{:>5} %",
            protocol.title(),
            stalest.as_millis(),
            percent(*read_counts)
        );
    }
    text
}

/// The figures of the finished check.
fn checked(ended: &Outcome) -> Line {
    let Outcome {
        protocol,
        report,
        read_counts,
    } = ended;
    let tally = LiveCounts {
        reads: report.reads,
        races: report.races,
        writes: report.writes,
        stale: stale(report),
        stalest: report.stalest(),
    };
    (*protocol, tally, *read_counts)
}

/// The output.
pub(crate) struct Screen {
    began: Instant,
    terminal: bool,
    /// Number of lines to draw over.
    drawn: usize,
    lines: Vec<Line>,
}

impl Screen {
    pub(crate) fn new(seed: u64) -> Self {
        print_line(&format!(
            "Three protocols, three instances each, the same load and the same faults; seed {seed}"
        ));
        Self {
            began: Instant::now(),
            terminal: io::stdout().is_terminal(),
            drawn: 0,
            lines: Protocol::ALL
                .map(|protocol| (protocol, LiveCounts::default(), ReadCounts::default()))
                .to_vec(),
        }
    }

    /// Shows the current fault.
    pub(crate) fn say(&mut self, what: &str) {
        let passed = self.began.elapsed().as_secs_f64();
        if self.terminal {
            let table = table(&self.lines);
            self.draw(&format!("{table}\n{passed:4.0} s: {what}"));
        } else {
            let stale = self
                .lines
                .iter()
                .map(|(_, tally, _)| tally.stale.to_string());
            let stale = stale.collect::<Vec<_>>().join(", ");
            print_line(&format!("{passed:4.0} s, stale so far {stale}: {what}"));
        }
    }

    /// Draws over the previous output.
    fn draw(&mut self, text: &str) {
        let mut all = String::new();
        if self.drawn > 0 {
            let _ = write!(all, "\x1b[{}F", self.drawn);
        }
        for line in text.lines() {
            let _ = writeln!(all, "{line}\x1b[K");
        }
        self.drawn = text.lines().count();
        let mut out = io::stdout().lock();
        let _ = out.write_all(all.as_bytes());
        let _ = out.flush();
    }

    /// Shows the counts so far, until the faults have ended.
    pub(crate) fn watch(mut self, rigs: &[Rig], stage: &Stage) -> JoinHandle<Self> {
        let loads: Vec<(Protocol, Load)> =
            rigs.iter().map(|rig| (rig.protocol, rig.load())).collect();
        let mut stage = stage.subscribe();
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(EVERY);
            let mut printed = None;
            loop {
                tokio::select! {
                    _ = stage.changed() => {}
                    _ = tick.tick() => {}
                }
                let Some(what) = *stage.borrow_and_update() else {
                    return self;
                };
                let line = |(protocol, load): &(Protocol, Load)| {
                    (*protocol, load.tally(), load.read_counts())
                };
                self.lines = loads.iter().map(line).collect();
                if self.terminal || printed != Some(what) {
                    self.say(what);
                    printed = Some(what);
                }
            }
        })
    }

    /// Shows the result of the check.
    pub(crate) fn end(&mut self, ended: &[Outcome]) {
        self.lines = ended.iter().map(checked).collect();
        let table = table(&self.lines);
        if self.terminal {
            self.draw(&table);
            // Clears what else was on the screen.
            let _ = write!(io::stdout().lock(), "\x1b[J");
        } else {
            print_line(&table);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_with_their_headings() {
        let tally = LiveCounts {
            reads: 12_345,
            races: 6_789,
            writes: 1_234,
            stale: 56,
            stalest: Duration::from_millis(7_890),
        };
        let read_counts = ReadCounts {
            answers: 200,
            hits: 101,
        };
        let lines = Protocol::ALL.map(|protocol| (protocol, tally, read_counts));
        let table = table(&lines);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[..2],
            [
                "protocol                writes    reads    races   stale     stalest   hits",
                "cache aside, delete       1234    12345     6789      56     7890 ms   50 %",
            ]
        );
        assert!(lines.iter().all(|line| line.len() == lines[0].len()));
    }
}
