//! What an attempt means for its message. Pure, so that every case can be read and tested in one module.

use std::time::Duration;

use parlance_domain::message::{
    MAX_PROVIDER_MESSAGE_ID_CHARS, ProgressEvent, Report, ReportStatus, ReportedError,
    is_provider_message_id,
};
use parlance_domain::text::clipped;
use parlance_domain::{Channel, ConversationId, DeliveryPolicy, Message, MessageStatus, Timestamp};
use parlance_providers::Outcome;
use parlance_storage::db::delivery::Claim;

use super::AttemptResult;
use crate::pace::Pace;

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
    /// The provider accepted it under an id that another message has, or that is invalid.
    AcceptedWithDuplicateId(String),
    /// The message was not handed over.
    NotHandedOver(SkipReason),
}

impl Ending {
    /// The ending of an attempt with this answer. Keeps the part of the provider's texts that can be stored: an outcome
    /// that cannot be written leads to a second hand-over.
    pub(super) fn of(answer: Outcome) -> Self {
        Self::Answered(match answer {
            Outcome::Accepted {
                provider_message_id,
            } if !is_provider_message_id(&provider_message_id) => {
                return Self::AcceptedWithDuplicateId(provider_message_id);
            }
            accepted @ Outcome::Accepted { .. } => accepted,
            Outcome::Refused(error) => Outcome::Refused(error.clipped()),
            Outcome::Later { after, error } => Outcome::Later {
                after,
                error: error.clipped(),
            },
            Outcome::Lost(error) => Outcome::Lost(error.clipped()),
        })
    }
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
    /// What happened to the message.
    pub(super) steps: Vec<ProgressEvent>,
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
    let ended_by = |result: ProgressEvent| ProgressEvent::of_attempt(attempt, Some(result));
    let sent = || ended_by(report(ReportStatus::Sent, attempt, None, now));
    let failed = |error: &ReportedError| given_up(error.clone(), attempt, now);
    match &ended.ending {
        Ending::Answered(Outcome::Accepted {
            provider_message_id,
        }) => Verdict {
            provider_message_id: Some(provider_message_id.clone()),
            ..done(sent(), "accepted".to_owned(), AttemptResult::Accepted)
        },
        Ending::AcceptedWithDuplicateId(id) => {
            let why = if is_provider_message_id(id) {
                "which is another message's id"
            } else {
                "which is no valid id"
            };
            let id = clipped(id, MAX_PROVIDER_MESSAGE_ID_CHARS);
            let detail = format!("accepted as {id}, {why}");
            done(sent(), detail, AttemptResult::Accepted)
        }
        Ending::Answered(Outcome::Refused(error)) => done(
            failed(error),
            format!("refused: {}", error.message),
            AttemptResult::Refused,
        ),
        Ending::Answered(Outcome::Later { error, .. }) if last => done(
            failed(error),
            format!("given up: {}", error.message),
            AttemptResult::Later,
        ),
        Ending::Answered(Outcome::Later { after, error }) => Verdict {
            delivery: DeliveryAction::Reschedule(pace.backoff(attempt, *after, random)),
            ..done(
                ProgressEvent::of_attempt(attempt, None),
                format!("put off: {}", error.message),
                AttemptResult::Later,
            )
        },
        Ending::Answered(Outcome::Lost(error)) => {
            let lost = done(
                ended_by(ProgressEvent::AnswerLost { attempt }),
                format!("answer lost: {}", error.message),
                AttemptResult::Lost,
            );
            match message.policy {
                DeliveryPolicy::AtMostOnce => lost,
                DeliveryPolicy::AtLeastOnce if last => Verdict {
                    steps: failed(error),
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
        Ending::NotHandedOver(why) => not_handed_over(message, *why, attempt, now),
    }
}

/// Judges an attempt that made no hand-over.
fn not_handed_over(message: &Message, why: SkipReason, attempt: i32, now: Timestamp) -> Verdict {
    match why {
        SkipReason::Expired => done(
            expired(message, attempt, now),
            "expired before it was handed over".to_owned(),
            AttemptResult::Expired,
        ),
        SkipReason::AttemptsExhausted => done(
            given_up(attempts_exhausted(), attempt, now),
            "given up: no earlier attempt finished".to_owned(),
            AttemptResult::Lost,
        ),
        SkipReason::PossiblySent => done(
            ProgressEvent::of_attempt(attempt, Some(ProgressEvent::AnswerLost { attempt })),
            "an earlier attempt may have sent it; not repeated".to_owned(),
            AttemptResult::Lost,
        ),
        SkipReason::LeaseExpired => Verdict {
            delivery: DeliveryAction::Reschedule(Duration::ZERO),
            ..done(
                Vec::new(),
                "not handed over: the lease had ended".to_owned(),
                AttemptResult::Superseded,
            )
        },
    }
}

/// Verdict that finishes the delivery.
fn done(steps: Vec<ProgressEvent>, detail: String, result: AttemptResult) -> Verdict {
    Verdict {
        steps,
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
fn expired(message: &Message, attempt: i32, now: Timestamp) -> Vec<ProgressEvent> {
    let never_left = matches!(
        message.progress.status,
        MessageStatus::Scheduled | MessageStatus::Pending
    ) && attempt == 1;
    if never_left {
        return vec![ProgressEvent::Expire {
            attempt: message.progress.attempt,
        }];
    }
    let error = ReportedError {
        code: "expired".to_owned(),
        message: "the message expired before a provider accepted it".to_owned(),
        provider_code: String::new(),
    };
    given_up(error, attempt, now)
}

/// Steps of an attempt that is the last, and failed.
fn given_up(error: ReportedError, attempt: i32, now: Timestamp) -> Vec<ProgressEvent> {
    let failed = report(ReportStatus::Failed, attempt, Some(error), now);
    ProgressEvent::of_attempt(attempt, Some(failed))
}

/// A report of this attempt.
pub(super) fn report(
    status: ReportStatus,
    attempt: i32,
    error: Option<ReportedError>,
    occurred_at: Timestamp,
) -> ProgressEvent {
    ProgressEvent::Report(Report {
        status,
        attempt: Some(attempt),
        error,
        occurred_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str) -> ReportedError {
        ReportedError {
            code: "code".to_owned(),
            message: message.to_owned(),
            provider_code: String::new(),
        }
    }

    #[test]
    fn an_answer_keeps_what_can_be_stored() {
        let accepted = |id: &str| Outcome::Accepted {
            provider_message_id: id.to_owned(),
        };
        assert!(
            matches!(Ending::of(accepted("p1")), Ending::Answered(kept) if kept == accepted("p1"))
        );
        for id in ["", "a\0b", "x".repeat(256).as_str()] {
            let ending = Ending::of(accepted(id));
            assert!(
                matches!(ending, Ending::AcceptedWithDuplicateId(_)),
                "{id:?}"
            );
        }
        let later = |message| Outcome::Later {
            after: Some(Duration::from_secs(9)),
            error: error(message),
        };
        for (answer, expected) in [
            (
                Outcome::Refused(error("a\0b")),
                Outcome::Refused(error("ab")),
            ),
            (later("a\0b"), later("ab")),
            (Outcome::Lost(error("a\0b")), Outcome::Lost(error("ab"))),
        ] {
            assert!(matches!(Ending::of(answer), Ending::Answered(kept) if kept == expected));
        }
    }
}
