//! What an attempt means for its message. Pure, so that every case can be read and tested in one module.

use std::time::Duration;

use parlance_domain::message::{Progress, ProgressEvent, Report, ReportStatus, ReportedError};
use parlance_domain::{
    Channel, ConversationId, DeliveryPolicy, Message, MessageStatus, Step, Timestamp,
};
use parlance_providers::Outcome;
use parlance_storage::db::delivery::Claim;

use super::AttemptResult;
use super::pace::Pace;

/// A finished attempt.
pub(super) struct AttemptOutcome {
    pub(super) claim: Claim,
    pub(super) conversation_id: ConversationId,
    pub(super) channel: Channel,
    pub(super) ending: Ending,
}

/// How an attempt ended.
pub(super) enum Ending {
    /// The provider's answer, or none in time.
    Answered(Outcome),
    /// The provider accepted it under an id that another message has.
    AcceptedWithDuplicateId(String),
    /// The message was not handed over.
    NotHandedOver(SkipReason),
}

/// Why an attempt made no hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SkipReason {
    /// The message had expired.
    Expired,
    /// An earlier attempt may have sent it, and it must not be sent twice.
    PossiblySent,
    /// All permitted hand-overs were started, and the last never finished.
    AttemptsExhausted,
    /// The lease had ended.
    LeaseExpired,
}

/// What the outcome writer has to write for an attempt.
#[derive(Debug)]
pub(super) struct Verdict {
    /// New progress of the message.
    pub(super) progress: Progress,
    /// The provider's id, if it gave one.
    pub(super) provider_message_id: Option<String>,
    /// What happens to the delivery.
    pub(super) delivery: DeliveryAction,
    /// Detail of the attempt's message event.
    pub(super) detail: String,
    /// Result for the metrics.
    pub(super) result: AttemptResult,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum DeliveryAction {
    /// It is finished.
    Finish,
    /// It becomes due again after this time.
    Reschedule(Duration),
}

/// Judges an attempt of a delivery that this worker still holds.
pub(super) fn judge(
    message: &Message,
    ended: &AttemptOutcome,
    pace: &Pace,
    now: Timestamp,
    random: u64,
) -> Verdict {
    let attempt = ended.claim.attempt;
    let last = attempt >= pace.max_attempts;
    let under_way = moved(
        moved(message.progress.clone(), ProgressEvent::Due),
        ProgressEvent::HandingOver { attempt },
    );
    let failed = |error: ReportedError| {
        report(
            under_way.clone(),
            ReportStatus::Failed,
            attempt,
            Some(error),
            now,
        )
    };
    match &ended.ending {
        Ending::Answered(Outcome::Accepted {
            provider_message_id,
        }) => Verdict {
            provider_message_id: Some(provider_message_id.clone()),
            ..done(
                report(under_way, ReportStatus::Sent, attempt, None, now),
                "accepted".to_owned(),
                AttemptResult::Accepted,
            )
        },
        Ending::AcceptedWithDuplicateId(id) => done(
            report(under_way, ReportStatus::Sent, attempt, None, now),
            format!("accepted as {id}, which is another message's id"),
            AttemptResult::Accepted,
        ),
        Ending::Answered(Outcome::Refused(error)) => done(
            failed(error.clone()),
            format!("refused: {}", error.message),
            AttemptResult::Refused,
        ),
        Ending::Answered(Outcome::Later { error, .. }) if last => done(
            failed(error.clone()),
            format!("given up: {}", error.message),
            AttemptResult::Later,
        ),
        Ending::Answered(Outcome::Later { after, error }) => Verdict {
            delivery: DeliveryAction::Reschedule(pace.backoff(attempt, *after, random)),
            ..done(
                under_way,
                format!("put off: {}", error.message),
                AttemptResult::Later,
            )
        },
        Ending::Answered(Outcome::Lost(error)) => {
            let uncertain = moved(under_way.clone(), ProgressEvent::AnswerLost { attempt });
            let lost = done(
                uncertain,
                format!("answer lost: {}", error.message),
                AttemptResult::Lost,
            );
            match message.policy {
                DeliveryPolicy::AtMostOnce => lost,
                DeliveryPolicy::AtLeastOnce if last => Verdict {
                    progress: failed(error.clone()),
                    ..lost
                },
                DeliveryPolicy::AtLeastOnce => Verdict {
                    delivery: DeliveryAction::Reschedule(
                        pace.grace + pace.backoff(attempt, None, random),
                    ),
                    ..lost
                },
            }
        }
        Ending::NotHandedOver(why) => not_handed_over(message, *why, under_way, attempt, now),
    }
}

/// Judges an attempt that made no hand-over.
fn not_handed_over(
    message: &Message,
    why: SkipReason,
    under_way: Progress,
    attempt: i32,
    now: Timestamp,
) -> Verdict {
    match why {
        SkipReason::Expired => done(
            expired(message, under_way, attempt, now),
            "expired before it was handed over".to_owned(),
            AttemptResult::Expired,
        ),
        SkipReason::AttemptsExhausted => done(
            report(
                under_way,
                ReportStatus::Failed,
                attempt,
                Some(attempts_exhausted()),
                now,
            ),
            "given up: no earlier attempt finished".to_owned(),
            AttemptResult::Lost,
        ),
        SkipReason::PossiblySent => done(
            moved(under_way, ProgressEvent::AnswerLost { attempt }),
            "an earlier attempt may have sent it; not repeated".to_owned(),
            AttemptResult::Lost,
        ),
        SkipReason::LeaseExpired => Verdict {
            delivery: DeliveryAction::Reschedule(Duration::ZERO),
            ..done(
                message.progress.clone(),
                "not handed over: the lease had ended".to_owned(),
                AttemptResult::Superseded,
            )
        },
    }
}

/// Verdict that finishes the delivery.
fn done(progress: Progress, detail: String, result: AttemptResult) -> Verdict {
    Verdict {
        progress,
        provider_message_id: None,
        delivery: DeliveryAction::Finish,
        detail,
        result,
    }
}

fn attempts_exhausted() -> ReportedError {
    ReportedError {
        code: "no_answer".to_owned(),
        message: "the maximum number of hand-overs was started, and none finished".to_owned(),
        provider_code: String::new(),
    }
}

/// A message that was never handed over expires. One that may have been sent fails instead, so that a late receipt
/// still counts.
fn expired(message: &Message, under_way: Progress, attempt: i32, now: Timestamp) -> Progress {
    let never_left = matches!(
        message.progress.status,
        MessageStatus::Scheduled | MessageStatus::Pending
    ) && attempt == 1;
    if never_left {
        return moved(
            message.progress.clone(),
            ProgressEvent::Expire {
                attempt: message.progress.attempt,
            },
        );
    }
    let error = ReportedError {
        code: "expired".to_owned(),
        message: "the message expired before a provider accepted it".to_owned(),
        provider_code: String::new(),
    };
    report(under_way, ReportStatus::Failed, attempt, Some(error), now)
}

/// The progress with a report of this attempt merged in.
pub(super) fn report(
    progress: Progress,
    status: ReportStatus,
    attempt: i32,
    error: Option<ReportedError>,
    occurred_at: Timestamp,
) -> Progress {
    moved(
        progress,
        ProgressEvent::Report(Report {
            status,
            attempt: Some(attempt),
            error,
            occurred_at,
        }),
    )
}

/// The progress after an event, unchanged if the event is ignored or illegal.
fn moved(progress: Progress, event: ProgressEvent) -> Progress {
    match progress.clone().apply(event) {
        Step::Moved(next) => next,
        Step::Ignored | Step::Illegal => progress,
    }
}
