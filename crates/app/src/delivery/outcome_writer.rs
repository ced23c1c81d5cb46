//! The outcome writer: writes the outcomes of attempts in batches, each guarded by its attempt.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parlance_domain::message::{MessageEvent, ProgressEvent, ReportStatus, Transition};
use parlance_domain::{Message, MessageId, MessageStatus, Owner, Timestamp};
use parlance_providers::Outcome;
use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};
use parlance_storage::db::outcomes::LockedMessage;
use parlance_storage::{Guarded, Tx};
use tokio::sync::mpsc;

use super::AttemptResult;
use super::context::DispatcherContext;
use super::outcome::{self, AttemptOutcome, DeliveryAction, Ending, SkipReason, Verdict, judge};
use crate::error::{Error, Kind, Reason, Result};
use crate::limit::in_time;
use crate::messages::{SETTLED_BY_REPORT, record_lost_attempts, record_superseded_attempts};

/// Outcomes that one transaction writes.
const BATCH: usize = 64;
/// How long the outcome writer waits after a database error.
const RETRY: Duration = Duration::from_millis(250);
/// How often an outcome is tried that the database refuses.
const TRIES: u32 = 5;
/// The try from which on an outcome that meets a conflict is written without the provider's id: another message has
/// that id.
const WITHOUT_ID: u32 = 3;

/// Writes outcomes until the last worker is gone.
pub(super) async fn run(
    context: Arc<DispatcherContext>,
    mut outcomes: mpsc::Receiver<AttemptOutcome>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while outcomes.recv_many(&mut batch, BATCH).await > 0 {
        let mut by_owner: HashMap<Owner, Vec<AttemptOutcome>> = HashMap::new();
        for ended in batch.drain(..) {
            by_owner
                .entry(ended.claim.owner.clone())
                .or_default()
                .push(ended);
        }
        for (owner, mut ended) in by_owner {
            // Within a conversation in the order in which the feed is to show the events.
            ended.sort_by_key(|ended| (ended.conversation_id, ended.claim.message_id));
            write_all(&context, &owner, ended).await;
        }
        if outcomes.is_empty() {
            context.outcomes_blocked.send_replace(false);
        }
    }
}

/// Writes the outcomes together, then those alone that were locked by another transaction; all of them alone if they
/// cannot be written together.
async fn write_all(context: &DispatcherContext, owner: &Owner, mut ended: Vec<AttemptOutcome>) {
    if ended.len() > 1 {
        match retry_while_unavailable(context, owner, &ended, write_unlocked).await {
            Ok(written) => ended.retain(|one| !written.contains(&one.claim.message_id)),
            Err(error) => {
                tracing::warn!(%error, cause = error.causes(), outcomes = ended.len(), "outcomes could not be written together; writing each alone");
            }
        }
    }
    for one in &mut ended {
        write_alone(context, owner, one).await;
    }
}

/// Retries for as long as the database is unavailable. The provider's answer must not be lost: the message would be
/// handed over again. The end of a lease is no reason to give up: the attempt still guards the outcome, and other
/// instances have no database either.
async fn retry_while_unavailable<T>(
    context: &DispatcherContext,
    owner: &Owner,
    ended: &[AttemptOutcome],
    write: impl AsyncFn(&DispatcherContext, &Owner, &[AttemptOutcome]) -> Result<T>,
) -> Result<T> {
    loop {
        match in_time(Box::pin(write(context, owner, ended))).await {
            Err(error) if is_unavailable(&error) => {
                context.outcomes_blocked.send_replace(true);
                tracing::warn!(%error, cause = error.causes(), outcomes = ended.len(), "outcomes could not be written; trying again");
                tokio::time::sleep(RETRY).await;
            }
            result => return result,
        }
    }
}

async fn write_alone(context: &DispatcherContext, owner: &Owner, ended: &mut AttemptOutcome) {
    for attempt in 1..=TRIES {
        let one = std::slice::from_ref(&*ended);
        let Err(error) = retry_while_unavailable(context, owner, one, write_with_lock_wait).await
        else {
            return;
        };
        let message_id = ended.claim.message_id;
        if attempt == TRIES {
            tracing::error!(%error, cause = error.causes(), %message_id, "an outcome could not be written; its delivery will be claimed again");
            return;
        }
        tracing::warn!(%error, cause = error.causes(), %message_id, "an outcome could not be written; trying again");
        if error.reason == Reason::Conflict && attempt + 1 >= WITHOUT_ID {
            without_id(ended);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Drops the provider's id from an acceptance. A provider that gives one id to two messages has accepted both of
/// them.
fn without_id(ended: &mut AttemptOutcome) {
    if let Ending::Answered(Outcome::Accepted {
        provider_message_id,
    }) = &ended.ending
    {
        ended.ending = Ending::AcceptedWithDuplicateId(provider_message_id.clone());
    }
}

fn is_unavailable(error: &Error) -> bool {
    matches!(
        error.reason.kind(),
        Kind::Unavailable | Kind::DeadlineExceeded
    )
}

/// Writes the outcomes with rows that can be locked without waiting; returns their messages.
async fn write_unlocked(
    context: &DispatcherContext,
    owner: &Owner,
    ended: &[AttemptOutcome],
) -> Result<HashSet<MessageId>> {
    let mut tx = context.app.begin(owner).await?;
    let wanted: Vec<_> = ended
        .iter()
        .map(|one| (one.conversation_id, one.claim.message_id))
        .collect();
    let locked = tx.try_lock_messages(&wanted).await?;
    let found: Vec<(&AttemptOutcome, &LockedMessage)> = ended
        .iter()
        .filter_map(|one| Some((one, locked.get(&one.claim.message_id)?)))
        .collect();
    write(context, tx, &found).await?;
    Ok(locked.into_keys().collect())
}

/// Writes the outcomes, waiting for locked conversations.
async fn write_with_lock_wait(
    context: &DispatcherContext,
    owner: &Owner,
    ended: &[AttemptOutcome],
) -> Result<()> {
    let mut tx = context.app.begin(owner).await?;
    let (mut locked, mut gone) = (Vec::with_capacity(ended.len()), Vec::new());
    for one in ended {
        match tx.lock_message(one.claim.message_id).await? {
            Some(message) => {
                let user = tx.user_of(message.conversation_id).await?;
                locked.push((one, LockedMessage { message, user }));
            }
            // Deleted in the meantime, together with its delivery.
            None => gone.push(one.channel),
        }
    }
    let found: Vec<(&AttemptOutcome, &LockedMessage)> =
        locked.iter().map(|(one, found)| (*one, found)).collect();
    write(context, tx, &found).await?;
    for channel in gone {
        context
            .observer
            .attempted(channel, AttemptResult::Superseded);
    }
    Ok(())
}

async fn write(
    context: &DispatcherContext,
    mut tx: Tx,
    ended: &[(&AttemptOutcome, &LockedMessage)],
) -> Result<()> {
    let mut judged = Vec::with_capacity(ended.len());
    for (one, found) in ended {
        let verdict = judge_one(context, &mut tx, one, found).await?;
        judged.push((*one, *found, verdict));
    }
    let still_ours = settle(&mut tx, &judged).await?;
    let mut pending = PendingWrites::default();
    let mut results = Vec::with_capacity(ended.len());
    for (one, found, verdict) in judged {
        let attempt = (found.message.id, one.claim.attempt);
        let result = if still_ours.contains(&attempt) {
            pending.add_outcome(found, one, verdict, tx.now())
        } else {
            superseded(&mut tx, &mut pending, found, one, &verdict).await?
        };
        results.push((one.channel, result));
    }
    tx.append_delivery_events(&pending.events).await?;
    let app = &context.app;
    let fence = app.store_transitions(&mut tx, &pending.decided).await?;
    app.commit_fenced(tx, fence).await?;
    for (channel, result) in results {
        context.observer.attempted(channel, result);
    }
    Ok(())
}

async fn judge_one(
    context: &DispatcherContext,
    tx: &mut Tx,
    ended: &AttemptOutcome,
    found: &LockedMessage,
) -> Result<Verdict> {
    if ended.claim.answer_lost {
        record_lost_attempts(tx, &found.message, ended.claim.attempt).await?;
    }
    let app = &context.app;
    let (pace, random) = (&app.settings.pace, app.random_number());
    Ok(judge(&found.message, ended, pace, tx.now(), random))
}

/// Finishes or reschedules the deliveries; returns those that were still this worker's.
async fn settle(
    tx: &mut Tx,
    judged: &[(&AttemptOutcome, &LockedMessage, Verdict)],
) -> Result<HashSet<(MessageId, i32)>> {
    let mut done = Vec::with_capacity(judged.len());
    let mut ours = HashSet::new();
    for (ended, found, verdict) in judged {
        let (message, attempt) = (&found.message, ended.claim.attempt);
        match verdict.delivery {
            DeliveryAction::Finish => done.push((message.id, attempt)),
            DeliveryAction::Reschedule(after) => {
                // At its expiry the message need not wait any longer.
                let due = tx.now().plus(after);
                let due = message.expires_at.map_or(due, |expires| due.min(expires));
                if tx.give_delivery_back(message.id, attempt, due).await? == Guarded::Updated {
                    ours.insert((message.id, attempt));
                }
            }
        }
    }
    ours.extend(tx.finish_deliveries(&done).await?);
    Ok(ours)
}

/// Message events and decisions that are still to be written.
#[derive(Default)]
struct PendingWrites<'a> {
    events: Vec<(MessageId, DeliveryEvent)>,
    decided: Vec<(Transition<'a>, &'a str)>,
}

impl<'a> PendingWrites<'a> {
    /// Adds the outcome of an attempt; its delivery was this worker's until now.
    fn add_outcome(
        &mut self,
        found: &'a LockedMessage,
        ended: &AttemptOutcome,
        verdict: Verdict,
        now: Timestamp,
    ) -> AttemptResult {
        let Verdict {
            steps,
            provider_message_id,
            delivery: _,
            detail,
            result,
        } = verdict;
        let status = self.decide(found, steps, provider_message_id, now);
        self.add_event(&found.message, ended, detail, now, Some(status));
        result
    }

    /// Adds what happened to a message; returns its status afterwards. Without steps nothing did, and the message is
    /// only invalidated again.
    fn decide(
        &mut self,
        found: &'a LockedMessage,
        steps: Vec<ProgressEvent>,
        provider_message_id: Option<String>,
        now: Timestamp,
    ) -> MessageStatus {
        let LockedMessage { message, user } = found;
        let event = MessageEvent::Delivery {
            steps,
            provider_message_id,
        };
        let Some(transition) = message.decide(event, now) else {
            return message.progress.status;
        };
        let status = transition.status();
        self.decided.push((transition, user.as_str()));
        status
    }

    fn add_event(
        &mut self,
        found: &Message,
        ended: &AttemptOutcome,
        detail: String,
        time: Timestamp,
        status: Option<MessageStatus>,
    ) {
        let kind = match ended.ending {
            Ending::NotHandedOver(SkipReason::Expired) => DeliveryEventKind::Expired,
            Ending::Answered(_) | Ending::AcceptedWithDuplicateId(_) | Ending::NotHandedOver(_) => {
                DeliveryEventKind::Attempt
            }
        };
        let event = DeliveryEvent {
            time,
            kind,
            attempt: Some(ended.claim.attempt),
            provider: found.provider.clone(),
            provider_time: None,
            status,
            detail,
        };
        self.events.push((found.id, event));
    }
}

/// Handles an attempt after its worker has lost the delivery. Either its lease ended and another worker claimed
/// it: then only the message event is written. Or a report arrived before the outcome and ended the delivery: then
/// the provider's id is still new.
async fn superseded<'a>(
    tx: &mut Tx,
    pending: &mut PendingWrites<'a>,
    locked: &'a LockedMessage,
    ended: &AttemptOutcome,
    verdict: &Verdict,
) -> Result<AttemptResult> {
    let (found, attempt) = (&locked.message, ended.claim.attempt);
    let now = tx.now();
    let recorded = tx.recorded_attempts(found.id).await?;
    if recorded.contains(&(attempt, verdict.detail.clone())) {
        // It was written, and only the response to the commit was lost: the cache may not have been invalidated.
        pending.decide(locked, Vec::new(), None, now);
        return Ok(verdict.result);
    }
    // The report recorded the attempt in the transaction that ended the delivery.
    let by_report = recorded.contains(&(attempt, SETTLED_BY_REPORT.to_owned()));
    let taken_over =
        tx.delivery_attempt(found.id).await?.is_some() || found.progress.attempt > attempt;
    let accepted = match &ended.ending {
        Ending::Answered(Outcome::Accepted {
            provider_message_id,
        }) => Some(provider_message_id),
        Ending::Answered(Outcome::Refused(_) | Outcome::Later { .. } | Outcome::Lost(_))
        | Ending::AcceptedWithDuplicateId(_)
        | Ending::NotHandedOver(_) => None,
    };
    let new_id = accepted.filter(|_| !taken_over && found.provider_message_id.is_none());
    let Some(provider_message_id) = new_id else {
        pending.decide(locked, Vec::new(), None, now);
        if by_report {
            return Ok(verdict.result);
        }
        let detail = match accepted {
            Some(_) => "accepted after another worker had taken over",
            None => "ended after another worker had taken over",
        };
        pending.add_event(found, ended, detail.to_owned(), now, None);
        return Ok(AttemptResult::Superseded);
    };
    record_superseded_attempts(tx, found, attempt, found.progress.status).await?;
    let sent = outcome::report(ReportStatus::Sent, attempt, None, now);
    pending.decide(locked, vec![sent], Some(provider_message_id.clone()), now);
    Ok(AttemptResult::Accepted)
}
