//! Delivery progress of a message and the state machine that changes it.
//!
//! There are two kinds of events. **Reports** come from outside in any order, late and repeated, and are merged.
//! **Transitions** by the dispatcher and by the user are not merged: each is possible in certain states only. Those of
//! the dispatcher carry their attempt, so that a superseded dispatcher changes nothing.

mod merge;
mod moves;
#[cfg(test)]
mod tests;

use super::{MessageStatus, Report, ReportStatus};
use crate::{Step, Timestamp};

/// Error of a message and the report that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Error code of Parlance.
    pub code: String,
    /// Text for people.
    pub message: String,
    /// The provider's code; may be empty.
    pub provider_code: String,
    /// Status of the same report.
    pub from: ReportStatus,
    /// Time of the error.
    pub occurred_at: Timestamp,
}

/// Delivery progress of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// State.
    pub status: MessageStatus,
    /// Latest attempt; 0 before the first.
    pub attempt: i32,
    /// Error of the highest-ranking report that has one; of several, the earliest.
    pub error: Option<Fault>,
    /// Earliest time at which the provider had accepted the message.
    pub sent_at: Option<Timestamp>,
    /// Earliest time at which it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// Earliest time at which it was read.
    pub read_at: Option<Timestamp>,
}

/// Event after the creation of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgressEvent {
    /// A delivery report.
    Report(Report),
    /// The scheduled send time has come.
    Due,
    /// The message is about to be handed over by this attempt, which is higher than all before. Only [`Step::Moved`]
    /// permits the hand-over.
    HandingOver {
        /// The new attempt.
        attempt: i32,
    },
    /// The message was handed over by this attempt and no response came.
    AnswerLost {
        /// The attempt.
        attempt: i32,
    },
    /// The expiry time passed before the message was handed over. Not for a message that an earlier attempt may have
    /// handed over: a late receipt would then be refused, so giving up on such a message is a report of
    /// [`ReportStatus::Failed`].
    Expire {
        /// The latest attempt known to the caller.
        attempt: i32,
    },
    /// The user cancels the message.
    Cancel,
    /// A message in a final error state is sent again. The re-drive takes an attempt number of its own, so that late
    /// reports about earlier attempts do not fail it again; the next hand-over takes the following number.
    Redrive {
        /// The new attempt.
        attempt: i32,
    },
}

impl ProgressEvent {
    /// Events of an attempt up to its result, if it has one. The start of an attempt need not have been written: a
    /// message keeps its status until the hand-over takes long.
    #[must_use]
    pub fn of_attempt(attempt: i32, result: Option<Self>) -> Vec<Self> {
        let started = [Self::Due, Self::HandingOver { attempt }];
        started.into_iter().chain(result).collect()
    }
}

impl Progress {
    /// Progress of a message that waits for its send time.
    #[must_use]
    pub const fn scheduled() -> Self {
        Self::starting(MessageStatus::Scheduled)
    }

    /// Progress of a message that waits for its hand-over.
    #[must_use]
    pub const fn pending() -> Self {
        Self::starting(MessageStatus::Pending)
    }

    /// Progress of an inbound message.
    #[must_use]
    pub const fn received() -> Self {
        Self::starting(MessageStatus::Received)
    }

    /// Progress of a chat message, which is delivered by being stored: chat has no provider.
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

    /// Applies an event.
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
