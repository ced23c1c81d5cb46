//! The scribe: writes down what came of attempts, in batches, each outcome guarded by its attempt.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parlance_domain::message::{Progress, ReportStatus};
use parlance_domain::{EventType, Message, MessageId, MessageStatus, Owner, Timestamp};
use parlance_providers::Outcome;
use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};
use parlance_storage::db::outcomes::{LockedMessage, Rewrite};
use parlance_storage::{Guarded, Tx};
use tokio::sync::mpsc;

use super::AttemptResult;
use super::attempt_events::{A_REPORT_WAS_FASTER, tell_of_the_lost, tell_of_the_overtaken};
use super::claimer::Works;
use super::outcome::{self, Ended, Ending, Job, Verdict, WhyNot, judge};
use crate::error::{Error, Kind, Reason, Result};
use crate::limit::in_time;
use crate::write::held;

/// Outcomes that one transaction writes.
const BATCH: usize = 64;
/// How long the scribe waits after the database failed it.
const RETRY: Duration = Duration::from_millis(250);
/// How often an outcome is tried that the database refuses.
const TRIES: u32 = 5;
/// From which try on an outcome that meets a conflict is written without the provider's id: another message has it.
const WITHOUT_ID: u32 = 3;

/// Writes until the last hand is gone.
pub(super) async fn run(works: Arc<Works>, mut outcomes: mpsc::Receiver<Ended>) {
    let mut batch = Vec::with_capacity(BATCH);
    while outcomes.recv_many(&mut batch, BATCH).await > 0 {
        let mut by_owner: HashMap<Owner, Vec<Ended>> = HashMap::new();
        for ended in batch.drain(..) {
            by_owner
                .entry(ended.claim.owner.clone())
                .or_default()
                .push(ended);
        }
        for (owner, mut ended) in by_owner {
            // Of one conversation in the order in which the feed is to tell of them.
            ended.sort_by_key(|ended| (ended.conversation_id, ended.claim.message_id));
            write_all(&works, &owner, ended).await;
        }
        if outcomes.is_empty() {
            works.scribe_waits.send_replace(false);
        }
    }
}

/// Writes them together, and each alone that somebody else has locked just now; or all of them alone, if they cannot be written
/// together.
async fn write_all(works: &Works, owner: &Owner, mut ended: Vec<Ended>) {
    if ended.len() > 1 {
        match write_while_away(works, owner, &ended, write_free).await {
            Ok(written) => ended.retain(|one| !written.contains(&one.claim.message_id)),
            Err(error) => {
                tracing::warn!(%error, cause = error.causes(), outcomes = ended.len(), "outcomes could not be written together; writing each alone");
            }
        }
    }
    for one in &mut ended {
        write_alone(works, owner, one).await;
    }
}

/// However long the database is away, what the provider said must not be forgotten: the message would be handed over again.
/// A lease that ends meanwhile is no reason to give up. Its attempt still guards the outcome, and others have no database
/// either.
async fn write_while_away<T>(
    works: &Works,
    owner: &Owner,
    ended: &[Ended],
    write: impl AsyncFn(&Works, &Owner, &[Ended]) -> Result<T>,
) -> Result<T> {
    loop {
        match in_time(write(works, owner, ended)).await {
            Err(error) if is_away(&error) => {
                works.scribe_waits.send_replace(true);
                tracing::warn!(%error, cause = error.causes(), outcomes = ended.len(), "outcomes could not be written; trying again");
                tokio::time::sleep(RETRY).await;
            }
            result => return result,
        }
    }
}

async fn write_alone(works: &Works, owner: &Owner, ended: &mut Ended) {
    for attempt in 1..=TRIES {
        let one = std::slice::from_ref(&*ended);
        let Err(error) = write_while_away(works, owner, one, write_in_turn).await else {
            return;
        };
        let message_id = ended.claim.message_id;
        if attempt == TRIES {
            tracing::error!(%error, cause = error.causes(), %message_id, "an outcome could not be written; its job will be claimed again");
            return;
        }
        tracing::warn!(%error, cause = error.causes(), %message_id, "an outcome could not be written; trying again");
        if error.reason == Reason::Conflict && attempt + 1 >= WITHOUT_ID {
            without_id(ended);
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// A provider that gives one id to two messages has taken both of them.
fn without_id(ended: &mut Ended) {
    if let Ending::Answered(Outcome::Accepted {
        provider_message_id,
    }) = &ended.ending
    {
        ended.ending = Ending::AcceptedUnder(provider_message_id.clone());
    }
}

fn is_away(error: &Error) -> bool {
    matches!(
        error.reason.kind(),
        Kind::Unavailable | Kind::DeadlineExceeded
    )
}

/// Writes what can be written without waiting for anybody; of which messages it was.
async fn write_free(works: &Works, owner: &Owner, ended: &[Ended]) -> Result<HashSet<MessageId>> {
    let mut tx = works.app.begin(owner).await?;
    let wanted: Vec<_> = ended
        .iter()
        .map(|one| (one.conversation_id, one.claim.message_id))
        .collect();
    let locked = tx.try_lock_messages(&wanted).await?;
    let found: Vec<(&Ended, &LockedMessage)> = ended
        .iter()
        .filter_map(|one| Some((one, locked.get(&one.claim.message_id)?)))
        .collect();
    write(works, tx, &found).await?;
    Ok(locked.into_keys().collect())
}

/// Waits until nobody else writes to these conversations.
async fn write_in_turn(works: &Works, owner: &Owner, ended: &[Ended]) -> Result<()> {
    let mut tx = works.app.begin(owner).await?;
    let (mut locked, mut gone) = (Vec::with_capacity(ended.len()), Vec::new());
    for one in ended {
        match tx.lock_message(one.claim.message_id).await? {
            Some(message) => {
                let user = tx.user_of(message.conversation_id).await?;
                locked.push((one, LockedMessage { message, user }));
            }
            // Deleted meanwhile, its job with it.
            None => gone.push(one.channel),
        }
    }
    let found: Vec<(&Ended, &LockedMessage)> =
        locked.iter().map(|(one, found)| (*one, found)).collect();
    write(works, tx, &found).await?;
    for channel in gone {
        works.observer.attempted(channel, AttemptResult::Superseded);
    }
    Ok(())
}

async fn write(works: &Works, mut tx: Tx, ended: &[(&Ended, &LockedMessage)]) -> Result<()> {
    let mut judged = Vec::with_capacity(ended.len());
    for (one, found) in ended {
        let verdict = judge_one(works, &mut tx, one, found).await?;
        judged.push((*one, *found, verdict));
    }
    let still_ours = settle(&mut tx, &judged).await?;
    let mut sheet = Sheet::default();
    let mut results = Vec::with_capacity(ended.len());
    for (one, found, verdict) in judged {
        let attempt = (found.message.id, one.claim.attempt);
        let result = if still_ours.contains(&attempt) {
            sheet.write(found, one, verdict, tx.now())
        } else {
            superseded(&mut tx, &mut sheet, found, one, &verdict).await?
        };
        results.push((one.channel, result));
    }
    tx.append_delivery_events(&sheet.lines).await?;
    held(tx.rewrite_messages(&sheet.rewrites).await?)?;
    works.app.commit(tx).await?;
    for (channel, result) in results {
        works.observer.attempted(channel, result);
    }
    Ok(())
}

async fn judge_one(
    works: &Works,
    tx: &mut Tx,
    ended: &Ended,
    found: &LockedMessage,
) -> Result<Verdict> {
    if ended.claim.answer_lost {
        tell_of_the_lost(tx, &found.message, ended.claim.attempt).await?;
    }
    let app = &works.app;
    let (pace, random) = (&app.settings.pace, app.random_number());
    Ok(judge(&found.message, ended, pace, tx.now(), random))
}

/// Ends the jobs, or gives them back; those that still were this worker's.
async fn settle(
    tx: &mut Tx,
    judged: &[(&Ended, &LockedMessage, Verdict)],
) -> Result<HashSet<(MessageId, i32)>> {
    let mut done = Vec::with_capacity(judged.len());
    let mut ours = HashSet::new();
    for (ended, found, verdict) in judged {
        let (message, attempt) = (&found.message, ended.claim.attempt);
        match verdict.job {
            Job::Finish => done.push((message.id, attempt)),
            Job::GiveBack(after) => {
                // Who has expired by then need not wait any longer.
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

/// What is still to be written.
#[derive(Default)]
struct Sheet {
    lines: Vec<(MessageId, DeliveryEvent)>,
    rewrites: Vec<Rewrite>,
}

impl Sheet {
    /// The outcome of an attempt whose job was this worker's until now.
    fn write(
        &mut self,
        found: &LockedMessage,
        ended: &Ended,
        verdict: Verdict,
        now: Timestamp,
    ) -> AttemptResult {
        let Verdict {
            progress,
            provider_message_id,
            job: _,
            detail,
            result,
        } = verdict;
        self.tell(&found.message, ended, detail, now, Some(progress.status));
        self.rewrite(found, progress, provider_message_id, now);
        result
    }

    fn rewrite(
        &mut self,
        found: &LockedMessage,
        progress: Progress,
        provider_message_id: Option<String>,
        now: Timestamp,
    ) {
        let before = &found.message;
        let mut changed = Message {
            progress,
            provider_message_id: provider_message_id.or_else(|| before.provider_message_id.clone()),
            ..before.clone()
        };
        if changed == *before {
            return;
        }
        changed.updated_at = now;
        changed.version = before.version + 1;
        let kind = if changed.progress.status == before.progress.status {
            EventType::MessageUpdated
        } else {
            EventType::MessageStatusChanged
        };
        self.rewrites.push(Rewrite {
            found: found.clone(),
            changed,
            kind,
        });
    }

    fn tell(
        &mut self,
        found: &Message,
        ended: &Ended,
        detail: String,
        time: Timestamp,
        status: Option<MessageStatus>,
    ) {
        let kind = match ended.ending {
            Ending::NotHandedOver(WhyNot::Expired) => DeliveryEventKind::Expired,
            Ending::Answered(_) | Ending::AcceptedUnder(_) | Ending::NotHandedOver(_) => {
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
        self.lines.push((found.id, event));
    }
}

/// The job is not this worker's any more. Either its lease ended and somebody else has it: then nothing but the story is
/// written. Or a report has come before the outcome and ended it: then the provider's id is still news.
async fn superseded(
    tx: &mut Tx,
    sheet: &mut Sheet,
    locked: &LockedMessage,
    ended: &Ended,
    verdict: &Verdict,
) -> Result<AttemptResult> {
    let (found, attempt) = (&locked.message, ended.claim.attempt);
    let now = tx.now();
    let told = tx.recorded_attempts(found.id).await?;
    if told.contains(&(attempt, verdict.detail.clone())) {
        // It was written, and only the answer to the commit was lost: the cache may not have been told.
        tx.touch_message(found).await?;
        return Ok(verdict.result);
    }
    // The report has told of it, in the transaction that ended the job.
    let by_report = told.contains(&(attempt, A_REPORT_WAS_FASTER.to_owned()));
    let taken_over =
        tx.delivery_attempt(found.id).await?.is_some() || found.progress.attempt > attempt;
    let accepted = match &ended.ending {
        Ending::Answered(Outcome::Accepted {
            provider_message_id,
        }) => Some(provider_message_id),
        Ending::Answered(Outcome::Refused(_) | Outcome::Later { .. } | Outcome::Lost(_))
        | Ending::AcceptedUnder(_)
        | Ending::NotHandedOver(_) => None,
    };
    let news = accepted.filter(|_| !taken_over && found.provider_message_id.is_none());
    let Some(provider_message_id) = news else {
        if by_report {
            return Ok(verdict.result);
        }
        let detail = match accepted {
            Some(_) => "accepted, after somebody else had taken over",
            None => "ended after somebody else had taken over",
        };
        sheet.tell(found, ended, detail.to_owned(), now, None);
        return Ok(AttemptResult::Superseded);
    };
    tell_of_the_overtaken(tx, found, attempt, found.progress.status).await?;
    let progress = outcome::report(
        found.progress.clone(),
        ReportStatus::Sent,
        attempt,
        None,
        now,
    );
    sheet.rewrite(locked, progress, Some(provider_message_id.clone()), now);
    Ok(AttemptResult::Accepted)
}
