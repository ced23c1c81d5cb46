//! Merging of reports: the result does not depend on their order or repetition.

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

    /// Sort key; the fault with the smallest key is shown. It is a total order over every field, so two different
    /// faults never tie and the order of arrival has no effect.
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
            // The message has not been handed over, or it is inbound: no report about its delivery is possible.
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

    /// Whether a report counts. An arrival counts for any attempt: the person has the message. Other reports count for
    /// the latest attempt only: an older failure says nothing about a newer attempt, and an older `SENT`, repeated
    /// after a re-drive, would prevent the newer attempt.
    fn counts(&self, report: &Report) -> bool {
        report.status.is_arrival() || report.attempt.is_none_or(|attempt| attempt == self.attempt)
    }

    /// Merges a report that counts. This is the join of a semilattice, so any order and any repetition of the same
    /// reports give one result. Progress is a tuple of independent parts, each part has a total order, and a report
    /// only raises a part to the maximum of its old and its reported value. The orders are: for the status every state
    /// without a report (`None`) < SENT < FAILED < ...; for the error none < lower precedence < higher precedence; for
    /// each time none < late < early. A maximum is associative, commutative and idempotent, and so is a tuple of
    /// maxima. No report changes the attempt, which decides what counts.
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
