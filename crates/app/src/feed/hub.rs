//! The hub: reads the tail of the feed and distributes its events to watchers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use parlance_domain::{ConversationId, EventType, Owner};
use parlance_storage::Database;
use parlance_storage::feed::{FeedEvent, FeedProgress, Position};

use super::cursor;
use super::queue::{Budget, Queue};
use crate::changes::Changes;
use crate::env::Environment;
use crate::error::Result;
use crate::limit::in_time;

/// Events that one read of the feed returns.
const PAGE: i64 = 500;
/// Value of the lag after a failed read.
const UNKNOWN: i64 = -1;
/// How long the tail waits after a failed read.
const RETRY: Duration = Duration::from_millis(500);

/// The events that a watcher wants.
#[derive(Debug, Clone)]
pub(crate) struct Interest {
    pub(crate) owner: Owner,
    pub(crate) conversation_id: Option<ConversationId>,
    pub(crate) user: Option<String>,
    pub(crate) types: Vec<EventType>,
}

impl Interest {
    pub(crate) fn covers(&self, event: &FeedEvent) -> bool {
        let FeedEvent {
            position: _,
            owner,
            event,
            bytes: _,
        } = event;
        *owner == self.owner
            && self
                .conversation_id
                .is_none_or(|id| id == event.conversation_id)
            && self.user.as_ref().is_none_or(|user| *user == event.user)
            && (self.types.is_empty() || self.types.contains(&event.kind))
    }
}

/// State of watching, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedStatus {
    /// Open streams.
    pub watchers: usize,
    /// How long the oldest committed event has waited to be distributed; `None` if the feed could not be read, or
    /// nothing reads it.
    pub lag: Option<Duration>,
    /// Bytes of events that wait for watchers.
    pub buffered_bytes: u64,
}

/// Distributes feed events to the watchers of this instance; one per instance.
pub(crate) struct Hub {
    db: Database,
    changes: Arc<Changes>,
    env: Environment,
    poll: Duration,
    budget: Arc<Budget>,
    tail: Mutex<Option<Tail>>,
    next_id: AtomicU64,
    lag_micros: AtomicI64,
    /// The epoch of the feed as last seen. Epochs grow, except where an earlier state of the database is restored.
    latest: AtomicI64,
}

/// The running tail.
struct Tail {
    /// The epoch of the feed that it reads.
    epoch: i64,
    /// Every event up to here has been distributed.
    position: Position,
    subscribers: HashMap<u64, Subscriber>,
}

struct Subscriber {
    interest: Interest,
    queue: Arc<Queue>,
}

/// A watcher's subscription; dropping it unsubscribes.
pub(crate) struct Subscription {
    hub: Arc<Hub>,
    id: u64,
    /// Events after [`Self::joined`].
    pub(crate) queue: Arc<Queue>,
    /// Events at or before this position have to be read from the database.
    pub(crate) joined: Position,
}

impl Hub {
    pub(crate) fn new(
        db: Database,
        changes: Arc<Changes>,
        env: Environment,
        poll: Duration,
        budget: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            db,
            changes,
            env,
            poll,
            budget: Budget::new(budget),
            tail: Mutex::new(None),
            next_id: AtomicU64::new(0),
            lag_micros: AtomicI64::new(0),
            latest: AtomicI64::new(0),
        })
    }

    /// Joins the tail; starts it for the first watcher.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        interest: Interest,
        epoch: i64,
    ) -> Result<Subscription> {
        if let Some(subscription) = self.join(interest.clone(), epoch, None) {
            return Ok(subscription);
        }
        // There is no tail yet: it starts at the present end of the feed.
        let start = self.db.feed_now().await?.position;
        // Another watcher may have started it in the meantime; `join` then ignores the start.
        self.join(interest, epoch, Some(start))
            .ok_or_else(cursor::expired)
    }

    /// Joins the tail; `None` if there is none and no start is given, or if the epoch has ended.
    fn join(
        self: &Arc<Self>,
        interest: Interest,
        epoch: i64,
        start: Option<Position>,
    ) -> Option<Subscription> {
        if self.has_ended(epoch) {
            return None;
        }
        let mut tail = self.lock();
        let found = tail.as_ref().map(|tail| tail.epoch);
        if found != Some(epoch) {
            *tail = Some(Tail {
                epoch,
                position: start?,
                subscribers: HashMap::new(),
            });
            if found.is_none() {
                tokio::spawn(Arc::clone(self).run());
            }
        }
        let tail = tail.as_mut().filter(|tail| tail.epoch == epoch)?;
        let queue = self.budget.queue();
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        tail.subscribers.insert(
            id,
            Subscriber {
                interest,
                queue: Arc::clone(&queue),
            },
        );
        Some(Subscription {
            hub: Arc::clone(self),
            id,
            queue,
            joined: tail.position,
        })
    }

    pub(crate) fn status(&self) -> FeedStatus {
        let watchers = self
            .lock()
            .as_ref()
            .map_or(0, |tail| tail.subscribers.len());
        // Without a watcher nothing reads the feed.
        let micros = if watchers == 0 {
            UNKNOWN
        } else {
            self.lag_micros.load(Ordering::Relaxed)
        };
        FeedStatus {
            watchers,
            lag: u64::try_from(micros).ok().map(Duration::from_micros),
            buffered_bytes: self.budget.used(),
        }
    }

    /// Reads the feed until the last watcher is gone.
    async fn run(self: Arc<Self>) {
        while let Some((epoch, position)) = self.position_if_watched() {
            let page = in_time(self.db.feed_page(position, PAGE)).await;
            match page {
                Ok(page) => {
                    let now = self.env.now();
                    let lag = page
                        .blocked_since
                        .map_or(Duration::ZERO, |since| now.since(since));
                    self.lag_micros.store(
                        i64::try_from(lag.as_micros()).unwrap_or(i64::MAX),
                        Ordering::Relaxed,
                    );
                    self.distribute(epoch, page.events);
                    if !page.more {
                        let _ = tokio::time::timeout(self.poll, self.changes.wait()).await;
                    }
                }
                Err(error) => {
                    self.lag_micros.store(UNKNOWN, Ordering::Relaxed);
                    tracing::warn!(%error, "the change feed could not be read; watchers wait");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// The epoch of the feed as last seen, and the position of the tail if one runs in that epoch.
    pub(crate) fn seen(&self) -> FeedProgress {
        let epoch = self.latest.load(Ordering::Relaxed);
        let tail = self.lock();
        let tail = tail.as_ref().filter(|tail| tail.epoch == epoch);
        FeedProgress {
            epoch,
            position: tail.map_or_else(Position::default, |tail| tail.position),
        }
    }

    /// The position to read from; ends the tail, under its lock, if no watcher is left.
    fn position_if_watched(&self) -> Option<(i64, Position)> {
        let mut tail = self.lock();
        if tail.as_ref()?.subscribers.is_empty() {
            *tail = None;
        }
        tail.as_ref().map(|tail| (tail.epoch, tail.position))
    }

    /// Records the feed's epoch and closes the queues of watchers of any other epoch.
    pub(crate) fn end_other_epochs(&self, epoch: i64) {
        self.latest.store(epoch, Ordering::Relaxed);
        if let Some(tail) = self.lock().as_mut()
            && tail.epoch != epoch
        {
            for (_, subscriber) in tail.subscribers.drain() {
                subscriber.queue.close();
            }
        }
    }

    /// Under the lock, so that a joining watcher gets each event either from here or from the database.
    fn distribute(&self, epoch: i64, events: Vec<FeedEvent>) {
        let mut tail = self.lock();
        let Some(tail) = tail.as_mut().filter(|tail| tail.epoch == epoch) else {
            return;
        };
        for event in events {
            tail.position = event.position;
            let event = self.budget.count(event);
            // A watcher that finds its queue closed, after the events still in it, determines the reason itself.
            tail.subscribers.retain(|_, subscriber| {
                !subscriber.interest.covers(event.event())
                    || subscriber.queue.push(Arc::clone(&event))
            });
            drop(event);
            self.budget.make_room();
        }
    }

    fn has_ended(&self, epoch: i64) -> bool {
        self.latest.load(Ordering::Relaxed) != epoch
    }

    fn lock(&self) -> MutexGuard<'_, Option<Tail>> {
        self.tail.lock()
    }

    /// The position up to which every event has been distributed.
    fn position(&self) -> Option<Position> {
        self.lock().as_ref().map(|tail| tail.position)
    }
}

impl Subscription {
    /// The position up to which every event has been distributed. Read it before checking whether an event waits: if
    /// none does, the watcher has seen everything up to here.
    pub(crate) fn position(&self) -> Option<Position> {
        self.hub.position()
    }

    /// The budget of this process.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.hub.budget
    }

    /// Whether the feed is in another epoch.
    pub(crate) fn has_ended(&self, epoch: i64) -> bool {
        self.hub.has_ended(epoch)
    }

    /// Joins the tail again, at its present position.
    pub(crate) async fn rejoin(&self, interest: Interest, epoch: i64) -> Result<Self> {
        self.hub.subscribe(interest, epoch).await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(tail) = self.hub.lock().as_mut() {
            tail.subscribers.remove(&self.id);
        }
    }
}
