//! The claimer: takes jobs that are due and puts them into hands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parlance_domain::{Message, MessageId, Owner};
use parlance_storage::db::delivery::Claim;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::hand::Hand;
use super::outcome::Ended;
use super::{Carriers, DeliveryObserver, scribe};
use crate::App;
use crate::error::Result;

/// How long the claimer waits after the database failed it.
const RETRY: Duration = Duration::from_millis(500);
/// How long a stopping dispatcher waits for messages under way, so that none has to wait for its lease.
const LAST_HANDS: Duration = Duration::from_secs(12);

/// What the dispatcher works with.
pub(super) struct Works {
    pub(super) app: Arc<App>,
    pub(super) carriers: Carriers,
    pub(super) observer: Arc<dyn DeliveryObserver>,
}

impl App {
    /// Delivers until the service goes down; returns when nothing is under way any more.
    pub async fn run_dispatcher(
        self: Arc<Self>,
        carriers: Carriers,
        observer: Arc<dyn DeliveryObserver>,
    ) {
        let works = Arc::new(Works {
            app: Arc::clone(&self),
            carriers,
            observer,
        });
        let (to_scribe, outcomes) = mpsc::channel(self.settings.pace.workers.max(1) * 2);
        let scribe = tokio::spawn(scribe::run(Arc::clone(&works), outcomes));
        let hands = Arc::new(Semaphore::new(self.settings.pace.workers));
        let mut going_down = self.going_down.subscribe();
        while !*going_down.borrow() {
            match claim(&works, &hands, &to_scribe, &mut going_down).await {
                Ok(0) => self.idle(&mut going_down).await,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "jobs could not be claimed; trying again");
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
        let wait = match self.db.next_delivery_due().await {
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

/// Claims what fits into free hands; how many jobs there were.
async fn claim(
    works: &Arc<Works>,
    hands: &Arc<Semaphore>,
    to_scribe: &mpsc::Sender<Ended>,
    going_down: &mut watch::Receiver<bool>,
) -> Result<usize> {
    let Some(mut free) = free_hands(hands, works.app.settings.pace.batch, going_down).await else {
        return Ok(0);
    };
    let (app, pace) = (&works.app, &works.app.settings.pace);
    let now = app.now();
    let limit = i64::try_from(free.len()).unwrap_or(i64::MAX);
    let claims = app
        .db
        .claim_deliveries(now, now.plus(pace.lease), limit)
        .await?;
    let count = claims.len();
    let messages = messages_of(app, &claims).await?;
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
    Ok(count)
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

async fn messages_of(app: &App, claims: &[Claim]) -> Result<HashMap<MessageId, Message>> {
    let mut ids: HashMap<&Owner, Vec<MessageId>> = HashMap::new();
    for claim in claims {
        ids.entry(&claim.owner).or_default().push(claim.message_id);
    }
    let mut messages = HashMap::with_capacity(claims.len());
    for (owner, ids) in ids {
        messages.extend(
            app.db
                .messages(owner, &ids)
                .await?
                .into_iter()
                .map(|message| (message.id, message)),
        );
    }
    Ok(messages)
}
