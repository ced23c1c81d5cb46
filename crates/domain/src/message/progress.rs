//! How far a message has come, and the one rule by which that changes.
//!
//! Two kinds of events meet here. **Reports** come from outside in any order, late and repeated, and are merged. The **moves** of
//! the dispatcher and of the user are not merged: each happens in certain states only, and those of the dispatcher carry the
//! attempt that they speak of, so that one who was overtaken changes nothing.

mod merge;
mod moves;
#[cfg(test)]
mod tests;

use super::{MessageStatus, Report, ReportStatus};
use crate::{Step, Timestamp};

/// What went wrong with a message, and which report said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Our word for it.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The provider's code; may be empty.
    pub provider_code: String,
    /// What the report said beside.
    pub from: ReportStatus,
    /// When it happened.
    pub occurred_at: Timestamp,
}

/// How far a message has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Its state.
    pub status: MessageStatus,
    /// The latest attempt to hand it over; 0 before the first.
    pub attempt: i32,
    /// What went wrong: the error of the highest report that has one, then the earliest.
    pub error: Option<Fault>,
    /// The earliest time at which the provider had it.
    pub sent_at: Option<Timestamp>,
    /// The earliest time at which it had arrived.
    pub delivered_at: Option<Timestamp>,
    /// The earliest time at which it had been read.
    pub read_at: Option<Timestamp>,
}

/// What happens to a message after it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgressEvent {
    /// Somebody reports how far it came.
    Report(Report),
    /// The time that it waited for has come.
    Due,
    /// It is about to be handed over, by this attempt, higher than all before. Only [`Step::Moved`] is leave to do so.
    HandingOver {
        /// The new attempt.
        attempt: i32,
    },
    /// It was handed over by this attempt and no answer came.
    AnswerLost {
        /// The attempt.
        attempt: i32,
    },
    /// Its time passed before it could leave. Not for a message that an earlier attempt may have handed over: its late
    /// receipt would be refused, so there giving up is a report of [`ReportStatus::Failed`].
    Expire {
        /// The latest attempt that whoever decides this knows of.
        attempt: i32,
    },
    /// The user calls it back.
    Cancel,
    /// It is dead and is to be tried afresh. It takes a new attempt for itself, so that reports of the dead attempts do not
    /// kill it again; the next hand-over takes the one after.
    Redrive {
        /// The new attempt.
        attempt: i32,
    },
}

impl Progress {
    /// Waits for its time.
    #[must_use]
    pub const fn scheduled() -> Self {
        Self::starting(MessageStatus::Scheduled)
    }

    /// Waits to be handed over.
    #[must_use]
    pub const fn pending() -> Self {
        Self::starting(MessageStatus::Pending)
    }

    /// Came from the other side.
    #[must_use]
    pub const fn received() -> Self {
        Self::starting(MessageStatus::Received)
    }

    /// Arrived by being written down: a chat has no way to travel.
    #[must_use]
    pub fn delivered(now: Timestamp) -> Self {
        Self {
            delivered_at: Some(now),
            ..Self::starting(MessageStatus::Delivered)
        }
    }

    const fn starting(status: MessageStatus) -> Self {
        Self {
            status,
            attempt: 0,
            error: None,
            sent_at: None,
            delivered_at: None,
            read_at: None,
        }
    }

    /// What the event does.
    #[must_use]
    pub fn apply(self, event: ProgressEvent) -> Step<Self> {
        match event {
            ProgressEvent::Report(report) => self.report(report),
            ProgressEvent::Due => self.due(),
            ProgressEvent::HandingOver { attempt } => self.handing_over(attempt),
            ProgressEvent::AnswerLost { attempt } => self.answer_lost(attempt),
            ProgressEvent::Expire { attempt } => self.expire(attempt),
            ProgressEvent::Cancel => self.cancel(),
            ProgressEvent::Redrive { attempt } => self.redrive(attempt),
        }
    }
}
