//! The claimer: takes jobs that are due and puts them into hands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parlance_domain::{Message, MessageId, Owner};
use parlance_storage::StorageError;
use parlance_storage::db::delivery::{Claim, ClaimResult};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::conversation_queue::line_up;
use super::outcome::Ended;
use super::worker::Hand;
use super::{DeliveryObserver, ProviderRegistry, outcome_writer};
use crate::App;
use crate::error::Result;
use crate::limit::in_time;

/// How long the claimer waits after the database failed it.
const RETRY: Duration = Duration::from_millis(500);
/// How long a stopping dispatcher waits for messages under way, so that none has to wait for its lease.
const LAST_HANDS: Duration = Duration::from_secs(12);

/// What the dispatcher works with.
pub(super) struct Works {
    pub(super) app: Arc<App>,
    pub(super) carriers: ProviderRegistry,
    pub(super) observer: Arc<dyn DeliveryObserver>,
    /// The scribe has outcomes that it cannot write: their jobs look abandoned, and must not be claimed before they are.
    pub(super) scribe_waits: watch::Sender<bool>,
}

impl App {
    /// Delivers until the service goes down; returns when nothing is under way any more.
    pub async fn run_dispatcher(
        self: Arc<Self>,
        carriers: ProviderRegistry,
        observer: Arc<dyn DeliveryObserver>,
    ) {
        let works = Arc::new(Works {
            app: Arc::clone(&self),
            carriers,
            observer,
            scribe_waits: watch::Sender::new(false),
        });
        let (to_scribe, outcomes) = mpsc::channel(self.settings.pace.workers.max(1) * 2);
        let scribe = tokio::spawn(outcome_writer::run(Arc::clone(&works), outcomes));
        let hands = Arc::new(Semaphore::new(self.settings.pace.workers));
        let mut going_down = self.going_down.subscribe();
        // Nothing is claimed before the database is recorded: what waits in a restored one may have left before.
        while !*going_down.borrow() {
            let Err(error) = self.settle_database().await else {
                break;
            };
            tracing::warn!(%error, cause = error.causes(), "the database's identity could not be looked at; trying again");
            tokio::time::sleep(RETRY).await;
        }
        while !*going_down.borrow() {
            if to_scribe.is_closed() {
                // Whatever is handed over now would be handed over again.
                tracing::error!("the scribe has ended; this instance delivers nothing more");
                break;
            }
            match claim(&works, &hands, &to_scribe, &mut going_down).await {
                Ok(Queue::Longer) => {}
                Ok(Queue::Empty) => self.idle(&mut going_down).await,
                Err(error) => {
                    tracing::warn!(%error, cause = error.causes(), "jobs could not be claimed; trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        // The hands hold the other ends: the scribe ends when the last has reported.
        drop(to_scribe);
        if tokio::time::timeout(LAST_HANDS, scribe).await.is_err() {
            tracing::warn!(
                "messages are still under way; another instance takes them over when their leases end"
            );
        }
    }

    /// Waits until there may be something to claim: a send of this instance, or the next job's time.
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
            () = self.changes.wait_for_jobs() => {}
            () = tokio::time::sleep(wait) => {}
            _ = going_down.wait_for(|down| *down) => {}
        }
    }
}

/// What a claim leaves.
enum Queue {
    /// There may be more that is due.
    Longer,
    /// There was no more.
    Empty,
}

/// Claims what fits into free hands.
async fn claim(
    works: &Arc<Works>,
    hands: &Arc<Semaphore>,
    to_scribe: &mpsc::Sender<Ended>,
    going_down: &mut watch::Receiver<bool>,
) -> Result<Queue> {
    let Some(mut free) = free_hands(hands, works.app.settings.pace.batch, going_down).await else {
        return Ok(Queue::Empty);
    };
    let mut scribe_waits = works.scribe_waits.subscribe();
    tokio::select! {
        biased;
        _ = going_down.wait_for(|down| *down) => return Ok(Queue::Empty),
        _ = scribe_waits.wait_for(|waits| !*waits) => {}
    }
    let (app, pace) = (&works.app, &works.app.settings.pace);
    let now = app.now();
    let limit = i64::try_from(free.len()).unwrap_or(i64::MAX);
    let claiming = app.db.claim_deliveries(now, now.plus(pace.lease), limit);
    let ClaimResult {
        claims,
        due_scheduled,
    } = in_time(Box::pin(claiming)).await?;
    let left = if claims.len() < free.len() && due_scheduled.is_empty() {
        Queue::Empty
    } else {
        Queue::Longer
    };
    let messages = messages_until_lease_ends(app, &claims).await?;
    for claim in claims {
        let Some(permit) = free.pop() else { break };
        // Deleted between the two statements: its job went with it.
        let Some(message) = messages.get(&claim.message_id) else {
            continue;
        };
        let hand = Hand {
            works: Arc::clone(works),
            claim,
            message: message.clone(),
        };
        let to_scribe = to_scribe.clone();
        tokio::spawn(async move {
            let ended = hand.deliver().await;
            // The scribe outlives the hands.
            let _ = to_scribe.send(ended).await;
            drop(permit);
        });
    }
    in_time(Box::pin(line_up(app, due_scheduled))).await?;
    Ok(left)
}

/// Waits for one free hand, then takes as many as are free.
async fn free_hands(
    hands: &Arc<Semaphore>,
    most: usize,
    going_down: &mut watch::Receiver<bool>,
) -> Option<Vec<OwnedSemaphorePermit>> {
    let first = tokio::select! {
        biased;
        _ = going_down.wait_for(|down| *down) => return None,
        permit = Arc::clone(hands).acquire_owned() => permit.ok()?,
    };
    let mut free = vec![first];
    while free.len() < most {
        let Ok(permit) = Arc::clone(hands).try_acquire_owned() else {
            break;
        };
        free.push(permit);
    }
    Some(free)
}

/// What has been claimed is tried until it has to be let go: an attempt that is dropped here looks as if it had been begun.
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
            Err(StorageError::Inconsistent { .. }) => readable(app, owner, &ids).await?,
            found => found?,
        };
        messages.extend(found.into_iter().map(|message| (message.id, message)));
    }
    Ok(messages)
}

/// One row that holds what we never write does not keep the others.
async fn readable(app: &App, owner: &Owner, ids: &[MessageId]) -> Result<Vec<Message>> {
    let mut messages = Vec::with_capacity(ids.len());
    for id in ids {
        match app.db.message(owner, *id).await {
            Ok(message) => messages.extend(message),
            Err(error @ StorageError::Inconsistent { .. }) => {
                tracing::error!(%error, message_id = %id, "a message cannot be read, so it cannot be handed over");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(messages)
}
