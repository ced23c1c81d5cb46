//! The verdict of a run.

use std::fmt;
use std::process::ExitCode;

use parlance_testkit::history::{Report, Rule};

use crate::rig::{Outcome, Protocol};

/// Maximum number of stale reads of our protocol that are printed.
const REPORTED: usize = 5;

/// Reads that were older than what was acknowledged before they began.
pub(crate) fn stale(report: &Report) -> usize {
    let violations = report.violations.iter();
    violations
        .filter(|violation| violation.rule == Rule::StaleAfterAck)
        .count()
}

/// The verdict of a run.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Our protocol has no stale read, and the others have some.
    Proven {
        races: usize,
        bound: f64,
        others: usize,
    },
    /// These protocols had no stale read, or no read of ours raced with a write.
    NothingProven(Vec<&'static str>),
    /// Our protocol had stale reads.
    Broken(Vec<String>),
}

impl Verdict {
    pub(crate) fn of(ended: &[Outcome]) -> Self {
        let (mut harmless, mut others) = (Vec::new(), 0);
        let mut ours = &Report::default();
        for Outcome {
            protocol, report, ..
        } in ended
        {
            let stale = stale(report);
            match protocol {
                Protocol::Ours => ours = report,
                Protocol::Rival(_) => {
                    others += stale;
                    if stale == 0 {
                        harmless.push(protocol.title());
                    }
                }
            }
        }
        if stale(ours) > 0 {
            let violations = ours.violations.iter();
            let stale = violations.filter(|v| v.rule == Rule::StaleAfterAck);
            return Self::Broken(stale.map(ToString::to_string).collect());
        }
        if ours.races == 0 {
            harmless.push(Protocol::Ours.title());
        }
        if harmless.is_empty() {
            Self::Proven {
                races: ours.races,
                bound: ours.bound(),
                others,
            }
        } else {
            Self::NothingProven(harmless)
        }
    }

    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Proven { .. } => ExitCode::SUCCESS,
            Self::NothingProven(_) | Self::Broken(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proven {
                races,
                bound,
                others,
            } => write!(
                f,
                "Ours was never stale in {races} races, so with 95 % confidence less than one in {} is (3/N = {bound:.1e}), \
                 where the others were stale {others} times.",
                races / 3
            ),
            Self::NothingProven(titles) => write!(
                f,
                "Nothing is proven: the load was too light for {}. Try again, on a machine with less to do.",
                titles.join(" and for ")
            ),
            Self::Broken(stale) => {
                write!(f, "BROKEN: ours had {} stale reads.", stale.len())?;
                for violation in stale.iter().take(REPORTED) {
                    write!(f, "\n  {violation}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use parlance_testkit::history::{History, Read, Span, Write};

    use super::*;
    use crate::load::ReadCounts;

    fn span(began: u64, ended: u64) -> Span {
        Span {
            began: Duration::from_millis(began),
            ended: Duration::from_millis(ended),
        }
    }

    /// A history with one race, in which the read returns the version before the write, or the written one.
    fn raced(protocol: Protocol, version: u64) -> Outcome {
        let write = |began, version| Write {
            key: 0,
            began: Duration::from_millis(began),
            acknowledged: Some((Duration::from_millis(began + 1), version)),
        };
        let history = History {
            writes: vec![write(0, 1), write(10, 2)],
            reads: vec![Read {
                key: 0,
                span: span(12, 13),
                version,
            }],
            ..History::default()
        };
        Outcome {
            protocol,
            report: history.check(),
            read_counts: ReadCounts::default(),
        }
    }

    fn verdict(versions: [u64; 3]) -> Verdict {
        let ended = Protocol::ALL.into_iter().zip(versions);
        let ended: Vec<Outcome> = ended.map(|(p, version)| raced(p, version)).collect();
        Verdict::of(&ended)
    }

    #[test]
    fn only_our_protocol_must_have_no_stale_read() {
        let proven = verdict([1, 1, 2]);
        assert!(matches!(
            proven,
            Verdict::Proven {
                races: 1,
                others: 2,
                ..
            }
        ));
        assert_eq!(proven.code(), ExitCode::SUCCESS);
        for fresh in [[2, 1, 2], [1, 2, 2], [2, 2, 2]] {
            let nothing = verdict(fresh);
            assert!(matches!(nothing, Verdict::NothingProven(_)), "{nothing}");
            assert_eq!(nothing.code(), ExitCode::FAILURE);
        }
        let broken = verdict([1, 1, 1]);
        assert!(
            broken
                .to_string()
                .starts_with("BROKEN: ours had 1 stale reads.\n")
        );
        assert_eq!(broken.code(), ExitCode::FAILURE);
    }

    #[test]
    fn without_a_race_nothing_is_proven() {
        let mut ended = [
            raced(Protocol::ALL[0], 1),
            raced(Protocol::ALL[1], 1),
            raced(Protocol::Ours, 2),
        ];
        ended[2].report = Report::default();
        assert!(matches!(Verdict::of(&ended), Verdict::NothingProven(_)));
    }
}
