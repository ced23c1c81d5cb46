//! What an attempt means for its message: pure, so that every case can be read in one place.

use std::time::Duration;

use parlance_domain::message::{Progress, ProgressEvent, Report, ReportStatus, ReportedError};
use parlance_domain::{
    Channel, ConversationId, DeliveryPolicy, Message, MessageStatus, Step, Timestamp,
};
use parlance_providers::Outcome;
use parlance_storage::db::delivery::Claim;

use super::AttemptResult;
use super::pace::Pace;

/// An attempt that is over.
pub(super) struct Ended {
    pub(super) claim: Claim,
    pub(super) conversation_id: ConversationId,
    pub(super) channel: Channel,
    pub(super) ending: Ending,
}

/// How it ended.
pub(super) enum Ending {
    /// The provider said this, or nothing in time.
    Answered(Outcome),
    /// The provider took it under an id that another message has.
    AcceptedUnder(String),
    /// It was not handed over.
    NotHandedOver(WhyNot),
}

/// Why an attempt did not come to a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhyNot {
    /// Its time had passed.
    Expired,
    /// An earlier attempt may have left, and it must not leave twice.
    LeftUncertain,
    /// Hand-overs were begun as often as may be, and the last never ended.
    NeverAnswered,
    /// The lease was over.
    TooLate,
}

/// What is to be written.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Where the message stands now.
    pub(super) progress: Progress,
    /// The provider's id, if it gave one.
    pub(super) provider_message_id: Option<String>,
    /// What becomes of the job.
    pub(super) job: Job,
    /// The line of its story.
    pub(super) detail: String,
    /// For the metrics.
    pub(super) result: AttemptResult,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Job {
    /// It is done.
    Finish,
    /// It is to be claimed again after a while.
    GiveBack(Duration),
}

/// Judges an attempt of a message that this worker still holds.
pub(super) fn judge(
    message: &Message,
    ended: &Ended,
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
        Ending::AcceptedUnder(id) => done(
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
            job: Job::GiveBack(pace.backoff(attempt, *after, random)),
            ..done(
                under_way,
                format!("put off: {}", error.message),
                AttemptResult::Later,
            )
        },
        Ending::Answered(Outcome::Lost(error)) => {
            let uncertain = moved(under_way.clone(), ProgressEvent::AnswerLost { attempt });
            let told = done(
                uncertain,
                format!("answer lost: {}", error.message),
                AttemptResult::Lost,
            );
            match message.policy {
                DeliveryPolicy::AtMostOnce => told,
                DeliveryPolicy::AtLeastOnce if last => Verdict {
                    progress: failed(error.clone()),
                    ..told
                },
                DeliveryPolicy::AtLeastOnce => Verdict {
                    job: Job::GiveBack(pace.grace + pace.backoff(attempt, None, random)),
                    ..told
                },
            }
        }
        Ending::NotHandedOver(why) => not_handed_over(message, *why, under_way, attempt, now),
    }
}

/// Judges an attempt that did not come to a hand-over.
fn not_handed_over(
    message: &Message,
    why: WhyNot,
    under_way: Progress,
    attempt: i32,
    now: Timestamp,
) -> Verdict {
    match why {
        WhyNot::Expired => done(
            expired(message, under_way, attempt, now),
            "its time had passed".to_owned(),
            AttemptResult::Expired,
        ),
        WhyNot::NeverAnswered => done(
            report(
                under_way,
                ReportStatus::Failed,
                attempt,
                Some(never_answered()),
                now,
            ),
            "given up: the attempts before never ended".to_owned(),
            AttemptResult::Lost,
        ),
        WhyNot::LeftUncertain => done(
            moved(under_way, ProgressEvent::AnswerLost { attempt }),
            "an earlier attempt may have left; not repeated".to_owned(),
            AttemptResult::Lost,
        ),
        WhyNot::TooLate => Verdict {
            job: Job::GiveBack(Duration::ZERO),
            ..done(
                message.progress.clone(),
                "not handed over: the lease was over".to_owned(),
                AttemptResult::Superseded,
            )
        },
    }
}

/// An attempt after which there is nothing more to do.
fn done(progress: Progress, detail: String, result: AttemptResult) -> Verdict {
    Verdict {
        progress,
        provider_message_id: None,
        job: Job::Finish,
        detail,
        result,
    }
}

fn never_answered() -> ReportedError {
    ReportedError {
        code: "no_answer".to_owned(),
        message: "it was handed over as often as may be, and no hand-over ended".to_owned(),
        provider_code: String::new(),
    }
}

/// What was never handed over expires; what may have left has failed, so that a late receipt still counts.
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
        message: "its time passed before a provider took it".to_owned(),
        provider_code: String::new(),
    };
    report(under_way, ReportStatus::Failed, attempt, Some(error), now)
}

/// A report of this attempt, merged.
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

/// The state after an event, or the same where it says nothing new.
fn moved(progress: Progress, event: ProgressEvent) -> Progress {
    match progress.clone().apply(event) {
        Step::Moved(next) => next,
        Step::Ignored | Step::Illegal => progress,
    }
}
