//! Reports: merged, so that their order and their repetition do not matter.

use std::cmp::Reverse;

use super::{Fault, Progress};
use crate::message::{MessageStatus, Report, ReportStatus, ReportedError};
use crate::{Step, Timestamp};

impl Fault {
    fn new(error: ReportedError, from: ReportStatus, occurred_at: Timestamp) -> Self {
        let ReportedError {
            code,
            message,
            provider_code,
        } = error;
        Self {
            code,
            message,
            provider_code,
            from,
            occurred_at,
        }
    }

    /// The smallest is the one to show. A total order over every field, so that no two different faults tie and the order of
    /// arrival cannot show.
    fn precedence(&self) -> (Reverse<ReportStatus>, Timestamp, &str, &str, &str) {
        let Self {
            code,
            message,
            provider_code,
            from,
            occurred_at,
        } = self;
        (Reverse(*from), *occurred_at, code, message, provider_code)
    }
}

impl Progress {
    pub(super) fn report(self, report: Report) -> Step<Self> {
        match self.status {
            // It has not left, or it came to us: nobody can know how its delivery went.
            MessageStatus::Scheduled
            | MessageStatus::Expired
            | MessageStatus::Canceled
            | MessageStatus::Received => Step::Illegal,
            MessageStatus::Pending
            | MessageStatus::Sending
            | MessageStatus::Uncertain
            | MessageStatus::Sent
            | MessageStatus::Delivered
            | MessageStatus::Read
            | MessageStatus::Undelivered
            | MessageStatus::Failed => {
                if !self.counts(&report) {
                    return Step::Ignored;
                }
                let joined = self.clone().join(report);
                if joined == self {
                    Step::Ignored
                } else {
                    Step::Moved(joined)
                }
            }
        }
    }

    /// An arrival counts whichever attempt it is about: the person has the message. What became of a hand-over counts only for
    /// the latest: an older failure says nothing about a newer attempt, and an older `SENT`, repeated after a re-drive, would keep
    /// the newer attempt from ever being made.
    fn counts(&self, report: &Report) -> bool {
        report.status.is_arrival() || report.attempt.is_none_or(|attempt| attempt == self.attempt)
    }

    /// Merges a report that counts. This is the join of a semilattice, so any order and any repetition of the same reports gives
    /// one result: progress is a tuple of independent parts, every part is a total order, and a report only ever raises a part
    /// to the maximum of what is there and what it brings. The orders are: for the status everything that is not a report
    /// (`None`) < SENT < FAILED < ...; for the error none < the lower precedence < the higher; for each time none < late < early.
    /// A maximum is associative, commutative and idempotent, and a tuple of maxima is so too. The attempt, which decides what
    /// counts, is moved by no report.
    fn join(self, report: Report) -> Self {
        let Report {
            status,
            attempt: _,
            error,
            occurred_at,
        } = report;
        let earliest = |kind: ReportStatus, known: Option<Timestamp>| {
            let reported = (status == kind).then_some(occurred_at);
            known.into_iter().chain(reported).min()
        };
        let fault = error.map(|error| Fault::new(error, status, occurred_at));
        let highest = ReportStatus::from_status(self.status).max(Some(status));
        Self {
            status: highest.map_or(self.status, MessageStatus::from),
            attempt: self.attempt,
            error: self
                .error
                .into_iter()
                .chain(fault)
                .min_by(|one, other| one.precedence().cmp(&other.precedence())),
            sent_at: earliest(ReportStatus::Sent, self.sent_at),
            delivered_at: earliest(ReportStatus::Delivered, self.delivered_at),
            read_at: earliest(ReportStatus::Read, self.read_at),
        }
    }
}
