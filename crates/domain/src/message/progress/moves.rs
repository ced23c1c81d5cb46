//! Transitions by the dispatcher and by the user. They are not merged, but guarded by the state and, where two delivery
//! workers could conflict, by the attempt.

use std::cmp::Ordering;

use super::Progress;
use crate::Step;
use crate::message::MessageStatus;

impl Progress {
    pub(super) fn due(self) -> Step<Self> {
        match self.status {
            MessageStatus::Scheduled => self.moved(MessageStatus::Pending),
            MessageStatus::Pending
            | MessageStatus::Sending
            | MessageStatus::Uncertain
            | MessageStatus::Sent
            | MessageStatus::Delivered
            | MessageStatus::Read
            | MessageStatus::Undelivered
            | MessageStatus::Failed
            | MessageStatus::Expired
            | MessageStatus::Canceled => Step::Ignored,
            MessageStatus::Received => Step::Illegal,
        }
    }

    pub(super) fn handing_over(self, attempt: i32) -> Step<Self> {
        // Another dispatcher has taken this attempt number; two hand-overs under one number must not happen.
        if attempt <= self.attempt {
            return Step::Ignored;
        }
        match self.status {
            MessageStatus::Pending | MessageStatus::Sending | MessageStatus::Uncertain => {
                Step::Moved(Self {
                    status: MessageStatus::Sending,
                    attempt,
                    ..self
                })
            }
            MessageStatus::Scheduled
            | MessageStatus::Sent
            | MessageStatus::Delivered
            | MessageStatus::Read
            | MessageStatus::Undelivered
            | MessageStatus::Failed
            | MessageStatus::Expired
            | MessageStatus::Canceled
            | MessageStatus::Received => Step::Illegal,
        }
    }

    pub(super) fn answer_lost(self, attempt: i32) -> Step<Self> {
        match attempt.cmp(&self.attempt) {
            Ordering::Less => Step::Ignored,
            Ordering::Greater => Step::Illegal,
            Ordering::Equal => match self.status {
                MessageStatus::Sending => self.moved(MessageStatus::Uncertain),
                // A report came before the time-out and has precedence.
                MessageStatus::Uncertain
                | MessageStatus::Sent
                | MessageStatus::Delivered
                | MessageStatus::Read
                | MessageStatus::Undelivered
                | MessageStatus::Failed => Step::Ignored,
                // This attempt was never handed over.
                MessageStatus::Scheduled
                | MessageStatus::Pending
                | MessageStatus::Expired
                | MessageStatus::Canceled
                | MessageStatus::Received => Step::Illegal,
            },
        }
    }

    pub(super) fn expire(self, attempt: i32) -> Step<Self> {
        match attempt.cmp(&self.attempt) {
            // A newer attempt has been made meanwhile.
            Ordering::Less => Step::Ignored,
            Ordering::Greater => Step::Illegal,
            Ordering::Equal => match self.status {
                MessageStatus::Scheduled | MessageStatus::Pending | MessageStatus::Sending => {
                    self.moved(MessageStatus::Expired)
                }
                MessageStatus::Sent
                | MessageStatus::Delivered
                | MessageStatus::Read
                | MessageStatus::Undelivered
                | MessageStatus::Failed
                | MessageStatus::Expired
                | MessageStatus::Canceled => Step::Ignored,
                // It may have been handed over, so it must stay open to its receipt.
                MessageStatus::Uncertain | MessageStatus::Received => Step::Illegal,
            },
        }
    }

    pub(super) fn cancel(self) -> Step<Self> {
        match self.status {
            MessageStatus::Scheduled | MessageStatus::Pending => {
                self.moved(MessageStatus::Canceled)
            }
            MessageStatus::Canceled => Step::Ignored,
            MessageStatus::Sending
            | MessageStatus::Uncertain
            | MessageStatus::Sent
            | MessageStatus::Delivered
            | MessageStatus::Read
            | MessageStatus::Undelivered
            | MessageStatus::Failed
            | MessageStatus::Expired
            | MessageStatus::Received => Step::Illegal,
        }
    }

    pub(super) fn redrive(self, attempt: i32) -> Step<Self> {
        if attempt <= self.attempt {
            return Step::Ignored;
        }
        match self.status {
            // A re-drive starts from scratch: an error or a time of an earlier attempt would hide those of the next.
            // Neither arrival time can be set here, because a message that has arrived is in none of these four states.
            MessageStatus::Uncertain
            | MessageStatus::Undelivered
            | MessageStatus::Failed
            | MessageStatus::Expired => Step::Moved(Self {
                attempt,
                ..Self::pending()
            }),
            // Already in progress.
            MessageStatus::Pending | MessageStatus::Sending => Step::Ignored,
            MessageStatus::Scheduled
            | MessageStatus::Sent
            | MessageStatus::Delivered
            | MessageStatus::Read
            | MessageStatus::Canceled
            | MessageStatus::Received => Step::Illegal,
        }
    }

    fn moved(self, status: MessageStatus) -> Step<Self> {
        Step::Moved(Self { status, ..self })
    }
}
