//! The claimer: claims due deliveries in batches and starts a delivery worker for each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parlance_domain::{Message, MessageId, Owner};
use parlance_storage::StorageError;
use parlance_storage::db::delivery::{Claim, ClaimResult};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::context::DispatcherContext;
use super::conversation_queue::enqueue_due;
use super::observer::DeliveryObserver;
use super::outcome::AttemptOutcome;
use super::outcome_writer;
use super::worker::DeliveryWorker;
use crate::App;
use crate::error::Result;
use crate::limit::in_time;

/// How long the claimer waits after a database error.
const RETRY: Duration = Duration::from_millis(500);
/// How long a stopping dispatcher waits for messages in flight, beyond the time that a provider may take, so that none has
/// to wait for the end of its lease.
const DRAIN_MARGIN: Duration = Duration::from_secs(2);

impl App {
    /// Runs the dispatcher until the service goes down; returns when no message is in flight any more.
    pub async fn run_dispatcher(self: Arc<Self>, observer: Arc<dyn DeliveryObserver>) {
        let context = Arc::new(DispatcherContext {
            app: Arc::clone(&self),
            observer,
            outcomes_blocked: watch::Sender::new(false),
        });
        let (outcome_sender, outcomes) = mpsc::channel(self.settings.pace.workers.max(1) * 2);
        let outcome_writer = tokio::spawn(outcome_writer::run(Arc::clone(&context), outcomes));
        let slots = Arc::new(Semaphore::new(self.settings.pace.workers));
        let mut going_down = self.going_down.subscribe();
        // Nothing is claimed before the database's identity is recorded: messages that wait in a restored database
        // may have been sent before the restore.
        while !*going_down.borrow() {
            let Err(error) = self.settle_database().await else {
                break;
            };
            tracing::warn!(%error, cause = error.causes(), "the database's identity could not be checked; trying again");
            tokio::time::sleep(RETRY).await;
        }
        while !*going_down.borrow() {
            if outcome_sender.is_closed() {
                // An outcome that cannot be written would lead to a second hand-over.
                tracing::error!(
                    "the outcome writer has stopped; this instance delivers nothing more"
                );
                break;
            }
            match claim(&context, &slots, &outcome_sender, &mut going_down).await {
                Ok(Backlog::Remaining) => {}
                Ok(Backlog::Empty) => self.idle(&mut going_down).await,
                Err(error) => {
                    tracing::warn!(%error, cause = error.causes(), "deliveries could not be claimed; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        // The workers hold the other senders: the outcome writer ends when the last worker has reported.
        drop(outcome_sender);
        let longest = self
            .settings
            .pace
            .provider_timeout
            .saturating_add(DRAIN_MARGIN);
        if tokio::time::timeout(longest, outcome_writer).await.is_err() {
            tracing::warn!(
                "messages are still in flight; another instance takes them over when their leases end"
            );
        }
    }

    /// Waits until there may be something to claim: a send of this instance, or the next due delivery.
    async fn idle(&self, going_down: &mut watch::Receiver<bool>) {
        let poll = self.settings.pace.poll;
        let wait = match in_time(self.db.next_delivery_due()).await {
            Ok(Some(due)) => due
                .since(self.now())
                .min(poll)
                .max(Duration::from_millis(1)),
            Ok(None) | Err(_) => poll,
        };
        tokio::select! {
            () = self.changes.wait_for_deliveries() => {}
            () = tokio::time::sleep(wait) => {}
            _ = going_down.wait_for(|down| *down) => {}
        }
    }
}

/// Whether due deliveries remain after a claim.
enum Backlog {
    /// More deliveries may be due.
    Remaining,
    /// No more deliveries were due.
    Empty,
}

/// Claims as many deliveries as there are free worker slots.
async fn claim(
    context: &Arc<DispatcherContext>,
    slots: &Arc<Semaphore>,
    outcome_sender: &mpsc::Sender<AttemptOutcome>,
    going_down: &mut watch::Receiver<bool>,
) -> Result<Backlog> {
    let Some(mut free) = free_slots(slots, context.app.settings.pace.batch, going_down).await
    else {
        return Ok(Backlog::Empty);
    };
    let mut outcomes_blocked = context.outcomes_blocked.subscribe();
    tokio::select! {
        biased;
        _ = going_down.wait_for(|down| *down) => return Ok(Backlog::Empty),
        _ = outcomes_blocked.wait_for(|blocked| !*blocked) => {}
    }
    let (app, pace) = (&context.app, &context.app.settings.pace);
    let now = app.now();
    let limit = i64::try_from(free.len()).unwrap_or(i64::MAX);
    let claiming = app.db.claim_deliveries(now, now.plus(pace.lease), limit);
    let ClaimResult {
        claims,
        due_scheduled,
    } = in_time(Box::pin(claiming)).await?;
    let left = if claims.len() < free.len() && due_scheduled.is_empty() {
        Backlog::Empty
    } else {
        Backlog::Remaining
    };
    let messages = messages_until_lease_ends(app, &claims).await?;
    for claim in claims {
        let Some(permit) = free.pop() else { break };
        // Deleted between the two statements, together with its delivery.
        let Some(message) = messages.get(&claim.message_id) else {
            continue;
        };
        let worker = DeliveryWorker {
            context: Arc::clone(context),
            claim,
            message: message.clone(),
        };
        let outcome_sender = outcome_sender.clone();
        tokio::spawn(async move {
            let outcome = worker.deliver().await;
            // The outcome writer outlives the workers.
            let _ = outcome_sender.send(outcome).await;
            drop(permit);
        });
    }
    in_time(Box::pin(enqueue_due(app, due_scheduled))).await?;
    Ok(left)
}

/// Waits for one free slot, then takes all slots that are free.
async fn free_slots(
    slots: &Arc<Semaphore>,
    most: usize,
    going_down: &mut watch::Receiver<bool>,
) -> Option<Vec<OwnedSemaphorePermit>> {
    let first = tokio::select! {
        biased;
        _ = going_down.wait_for(|down| *down) => return None,
        permit = Arc::clone(slots).acquire_owned() => permit.ok()?,
    };
    let mut free = vec![first];
    while free.len() < most {
        let Ok(permit) = Arc::clone(slots).try_acquire_owned() else {
            break;
        };
        free.push(permit);
    }
    Some(free)
}

/// Reads the claimed messages; retries until their leases end. An attempt that is dropped here looks as if it had
/// been started.
async fn messages_until_lease_ends(
    app: &App,
    claims: &[Claim],
) -> Result<HashMap<MessageId, Message>> {
    loop {
        match in_time(messages_of(app, claims)).await {
            Err(error)
                if !*app.going_down.borrow()
                    && claims.iter().any(|claim| app.now() < claim.lease_until) =>
            {
                tracing::warn!(%error, cause = error.causes(), jobs = claims.len(), "claimed messages could not be read; trying again");
                tokio::time::sleep(RETRY).await;
            }
            result => return result,
        }
    }
}

async fn messages_of(app: &App, claims: &[Claim]) -> Result<HashMap<MessageId, Message>> {
    let mut ids: HashMap<&Owner, Vec<MessageId>> = HashMap::new();
    for claim in claims {
        ids.entry(&claim.owner).or_default().push(claim.message_id);
    }
    let mut messages = HashMap::with_capacity(claims.len());
    for (owner, ids) in ids {
        let found = match app.db.messages(owner, &ids).await {
            Err(StorageError::Inconsistent { .. }) => {
                let (found, unreadable) = readable_messages(app, owner, &ids).await?;
                let is_unreadable = |claim: &&Claim| unreadable.contains(&claim.message_id);
                let unused: Vec<&Claim> = claims.iter().filter(is_unreadable).collect();
                Box::pin(undo_claims(app, owner, &unused)).await?;
                found
            }
            found => found?,
        };
        messages.extend(found.into_iter().map(|message| (message.id, message)));
    }
    Ok(messages)
}

/// Reads the messages one by one, so that an unreadable row does not hold up the others. Returns the ids of unreadable
/// ones, too.
async fn readable_messages(
    app: &App,
    owner: &Owner,
    ids: &[MessageId],
) -> Result<(Vec<Message>, Vec<MessageId>)> {
    let mut messages = Vec::with_capacity(ids.len());
    let mut unreadable = Vec::new();
    for id in ids {
        match app.db.message(owner, *id).await {
            Ok(message) => messages.extend(message),
            Err(error @ StorageError::Inconsistent { .. }) => {
                tracing::error!(%error, message_id = %id, "a message cannot be read, so it cannot be handed over");
                unreadable.push(*id);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((messages, unreadable))
}

/// Undoes claims of messages that this instance cannot read: an instance of another version may be able to, and has all
/// attempts left.
async fn undo_claims(app: &App, owner: &Owner, claims: &[&Claim]) -> Result<()> {
    if claims.is_empty() {
        return Ok(());
    }
    let mut tx = app.begin(owner).await?;
    for claim in claims {
        // A claim may be undone already: the read is retried as a whole.
        let _ = tx.undo_claim(claim).await?;
    }
    app.commit(tx).await
}
