//! The scribe: writes down what came of attempts, in batches, each outcome guarded by its attempt.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use parlance_domain::message::ReportStatus;
use parlance_domain::{ConversationId, EventType, Message, Owner, Timestamp};
use parlance_storage::db::story::{StoryEvent, StoryKind};
use parlance_storage::{Guarded, Tx};
use tokio::sync::mpsc;

use super::AttemptResult;
use super::claimer::Works;
use super::outcome::{self, Ended, Ending, Job, Verdict, judge};
use crate::error::Result;
use crate::write::held;

/// Outcomes that one transaction writes.
const BATCH: usize = 64;
/// How long the scribe waits after the database failed it.
const RETRY: Duration = Duration::from_millis(250);

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
            // One order of locks for all scribes.
            ended.sort_by_key(|ended| ended.claim.message_id);
            write_until_done(&works, &owner, &ended).await;
        }
    }
}

/// An outcome must not be forgotten while its lease lasts: the message would be handed over again.
async fn write_until_done(works: &Works, owner: &Owner, ended: &[Ended]) {
    let give_up = works.app.now().plus(works.app.settings.pace.lease);
    while let Err(error) = write(works, owner, ended).await {
        if works.app.now() >= give_up {
            tracing::error!(%error, outcomes = ended.len(), "outcomes could not be written; their jobs will be claimed again");
            return;
        }
        tracing::warn!(%error, outcomes = ended.len(), "outcomes could not be written; trying again");
        tokio::time::sleep(RETRY).await;
    }
}

async fn write(works: &Works, owner: &Owner, ended: &[Ended]) -> Result<()> {
    let mut tx = works.app.begin(owner).await?;
    let mut users = HashMap::new();
    let mut results = Vec::with_capacity(ended.len());
    for one in ended {
        results.push((
            one.channel,
            write_one(works, &mut tx, one, &mut users).await?,
        ));
    }
    works.app.commit(tx).await?;
    for (channel, result) in results {
        works.observer.attempted(channel, result);
    }
    Ok(())
}

async fn write_one(
    works: &Works,
    tx: &mut Tx,
    ended: &Ended,
    users: &mut HashMap<ConversationId, String>,
) -> Result<AttemptResult> {
    let claim = &ended.claim;
    let Some(found) = tx.lock_message(claim.message_id).await? else {
        // Deleted meanwhile, its job with it.
        return Ok(AttemptResult::Superseded);
    };
    let now = tx.now();
    let verdict = judge(
        &found,
        ended,
        &works.app.settings.pace,
        now,
        works.app.random_number(),
    );
    let guarded = match verdict.job {
        Job::Finish => tx.finish_delivery(&found, claim.attempt).await?,
        Job::GiveBack(after) => {
            tx.give_delivery_back(found.id, claim.attempt, now.plus(after))
                .await?
        }
    };
    if guarded == Guarded::Stale {
        return superseded(tx, &found, ended, users).await;
    }
    let Verdict {
        progress,
        provider_message_id,
        job: _,
        detail,
        result,
    } = verdict;
    tell(tx, &found, ended, &detail, now, Some(progress.status)).await?;
    let message = Message {
        progress,
        provider_message_id: provider_message_id.or_else(|| found.provider_message_id.clone()),
        ..found.clone()
    };
    write_message(tx, &found, message, users).await?;
    Ok(result)
}

/// The job is not this worker's any more. Either its lease ended and somebody else has it: then nothing but the story is
/// written. Or a report has come before the outcome and ended it: then the provider's id is still news.
async fn superseded(
    tx: &mut Tx,
    found: &Message,
    ended: &Ended,
    users: &mut HashMap<ConversationId, String>,
) -> Result<AttemptResult> {
    let attempt = ended.claim.attempt;
    let now = tx.now();
    let taken_over =
        tx.delivery_attempt(found.id).await?.is_some() || found.progress.attempt > attempt;
    let Ending::Answered(parlance_providers::Outcome::Accepted {
        provider_message_id,
    }) = &ended.ending
    else {
        tell(
            tx,
            found,
            ended,
            "ended after somebody else had taken over",
            now,
            None,
        )
        .await?;
        return Ok(AttemptResult::Superseded);
    };
    if taken_over || found.provider_message_id.is_some() {
        tell(
            tx,
            found,
            ended,
            "accepted, after somebody else had taken over",
            now,
            None,
        )
        .await?;
        return Ok(AttemptResult::Superseded);
    }
    tell(
        tx,
        found,
        ended,
        "accepted; a report was faster",
        now,
        Some(found.progress.status),
    )
    .await?;
    let progress = outcome::report(
        found.progress.clone(),
        ReportStatus::Sent,
        attempt,
        None,
        now,
    );
    let message = Message {
        progress,
        provider_message_id: Some(provider_message_id.clone()),
        ..found.clone()
    };
    write_message(tx, found, message, users).await?;
    Ok(AttemptResult::Accepted)
}

async fn write_message(
    tx: &mut Tx,
    found: &Message,
    mut message: Message,
    users: &mut HashMap<ConversationId, String>,
) -> Result<()> {
    if message == *found {
        return Ok(());
    }
    message.updated_at = tx.now();
    message.version = found.version + 1;
    let kind = if message.progress.status == found.progress.status {
        EventType::MessageUpdated
    } else {
        EventType::MessageStatusChanged
    };
    let user = match users.entry(found.conversation_id) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(unknown) => {
            let conversation = tx.conversation(found.conversation_id).await?;
            unknown.insert(conversation.map(|c| c.user).unwrap_or_default())
        }
    };
    held(tx.update_message(found, &message, kind, user).await?)
}

async fn tell(
    tx: &mut Tx,
    found: &Message,
    ended: &Ended,
    detail: &str,
    time: Timestamp,
    status: Option<parlance_domain::MessageStatus>,
) -> Result<()> {
    let kind = match ended.ending {
        Ending::Expired => StoryKind::Expired,
        Ending::Answered(_) | Ending::LeftUncertain => StoryKind::Attempt,
    };
    let event = StoryEvent {
        time,
        kind,
        attempt: Some(ended.claim.attempt),
        provider: found.provider.clone(),
        provider_time: None,
        status,
        detail: detail.to_owned(),
    };
    Ok(tx.tell_story(found.id, &event).await?)
}
