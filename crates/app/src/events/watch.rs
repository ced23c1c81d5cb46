//! One watcher of the feed.

use std::sync::Arc;
use std::time::Duration;

use parlance_domain::{ConversationId, Event, EventType, Owner};
use parlance_storage::Database;
use parlance_storage::feed::{FeedEvent, Position, Snapshot};
use tokio::sync::watch;

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::feed::cursor;
use crate::feed::hub::{FeedStatus, Interest, Subscription};
use crate::feed::queue::{Buffered, Next, Queue};

/// Interval of heartbeats on a quiet stream.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events of all owners that one read of the past looks through.
const PAGE: i64 = 1_000;

/// Request of `watch`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watch {
    /// Only this conversation.
    pub conversation_id: Option<ConversationId>,
    /// Only conversations of this user.
    pub user: Option<String>,
    /// Only these types; all if empty.
    pub types: Vec<EventType>,
    /// The event to start after; empty: from now on; `0`: everything that is kept.
    pub cursor: String,
}

/// Event or heartbeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// The cursor to resume from.
    pub cursor: String,
    /// The event; none in a heartbeat.
    pub event: Option<Event>,
}

/// Stream of events for one watcher.
pub struct Watcher {
    db: Database,
    subscription: Subscription,
    interest: Interest,
    epoch: i64,
    /// Every matching event up to here has been shown.
    shown: Position,
    /// Every matching event up to here has been read from the past.
    read: Position,
    /// Events read from the past and not shown yet.
    backlog: Arc<Queue>,
    /// Whether the past has more events before the position where the tail was joined.
    behind: bool,
    /// The transactions that were visible when watching "from now" began.
    seen_at_start: Option<Snapshot>,
    going_down: watch::Receiver<bool>,
    ended: bool,
}

impl App {
    /// Begins to watch: what is committed after this returns will be seen.
    pub async fn watch(&self, owner: &Owner, request: Watch) -> Result<Watcher> {
        let Watch {
            conversation_id,
            user,
            types,
            cursor,
        } = request;
        if let Some(id) = conversation_id {
            self.counted(owner, id, None).await?;
        }
        let interest = Interest {
            owner: owner.clone(),
            conversation_id,
            user,
            types,
        };
        // First, so that no cursor from before a restore is taken for a present one.
        self.settle_database().await?;
        let state = self.db.feed_state().await?;
        // Another instance may have begun a new epoch since.
        self.hub.end_other_epochs(state.epoch);
        let from = if cursor.is_empty() {
            None
        } else {
            Some(cursor::read(&cursor, state)?)
        };
        let subscription = self.hub.subscribe(interest.clone(), state.epoch).await?;
        let (shown, seen_at_start) = if let Some(position) = from {
            (position, None)
        } else {
            let start = self.db.feed_now().await?;
            (start.position, start.seen)
        };
        let behind = from.is_some() && shown < subscription.joined;
        let backlog = subscription.budget().queue();
        Ok(Watcher {
            db: self.db.clone(),
            subscription,
            interest,
            epoch: state.epoch,
            shown,
            read: shown,
            backlog,
            behind,
            seen_at_start,
            going_down: self.going_down.subscribe(),
            ended: false,
        })
    }

    /// State of watching, for the metrics.
    pub fn feed_status(&self) -> FeedStatus {
        self.hub.status()
    }
}

impl Watcher {
    /// The next event, or a heartbeat; `None` after the end. Safe to drop and call again.
    pub async fn next(&mut self) -> Option<Result<Watched>> {
        if self.ended {
            return None;
        }
        let next = self.advance().await;
        self.ended = next.is_err();
        Some(next)
    }

    async fn advance(&mut self) -> Result<Watched> {
        loop {
            match self.backlog.pop() {
                Next::Event(event) => return Ok(self.show(Buffered::take(event))),
                // It was emptied in favour of other watchers: its events are read again.
                Next::Closed => {
                    self.backlog = self.subscription.budget().queue();
                    self.read = self.shown;
                    self.behind = true;
                }
                Next::Empty => self.shown = self.shown.max(self.read),
            }
            if !self.behind {
                break;
            }
            if let Some(event) = self.read_past().await? {
                return Ok(self.show(event));
            }
        }
        let heartbeat = tokio::time::sleep(HEARTBEAT);
        tokio::pin!(heartbeat);
        let mut going_down = self.going_down.clone();
        loop {
            tokio::select! {
                biased;
                _ = going_down.wait_for(|down| *down) => return Err(self.shutting_down()),
                event = self.subscription.queue.next() => match event {
                    None => return Err(self.closed_reason()),
                    Some(event) if self.is_new(event.event()) => return Ok(self.show(Buffered::take(event))),
                    Some(_) => {}
                },
                () = &mut heartbeat => {
                    // An event arrived at the same time and replaces the heartbeat.
                    if let Some(watched) = self.heartbeat() {
                        return Ok(watched);
                    }
                }
            }
        }
    }

    /// Reads the past up to the position where the tail was joined, and returns the first event. If the watcher is so
    /// far behind that its queue of the tail overflows in the meantime, it joins the tail again at the end.
    async fn read_past(&mut self) -> Result<Option<FeedEvent>> {
        let budget = Arc::clone(self.subscription.budget());
        let (owner, bytes) = (&self.interest.owner, budget.page_bytes());
        let page = self.db.feed_page_of(owner, self.read, PAGE, bytes);
        let page = page.await?;
        let state = self.db.feed_state().await?;
        if state.epoch != self.epoch || self.read < state.pruned {
            // Removed while it was being read.
            return Err(cursor::expired());
        }
        let joined = self.subscription.joined;
        self.behind = page.more && page.up_to < joined;
        self.read = self.read.max(page.up_to.min(joined));
        let interest = &self.interest;
        let mut past = page
            .events
            .into_iter()
            .filter(|event| event.position <= joined && interest.covers(event));
        // The first event bypasses the backlog, which may be emptied, so that every read makes progress.
        let first = past.next();
        for event in past {
            self.backlog.push(budget.count(event));
        }
        budget.make_room();
        if !self.behind && self.subscription.queue.is_closed() {
            self.subscription = self
                .subscription
                .rejoin(self.interest.clone(), self.epoch)
                .await?;
            self.behind = self.read < self.subscription.joined;
        }
        Ok(first)
    }

    fn is_new(&self, event: &FeedEvent) -> bool {
        event.position > self.shown
            && !self
                .seen_at_start
                .as_ref()
                .is_some_and(|seen| seen.contains(event.position.xid))
    }

    fn show(&mut self, event: FeedEvent) -> Watched {
        self.shown = self.shown.max(event.position);
        Watched {
            cursor: cursor::write(self.epoch, event.position),
            event: Some(event.event),
        }
    }

    /// `None` if an event waits after all.
    fn heartbeat(&mut self) -> Option<Watched> {
        let position = self.subscription.position();
        match self.subscription.queue.pop() {
            Next::Event(event) if self.is_new(event.event()) => {
                Some(self.show(Buffered::take(event)))
            }
            Next::Event(_) | Next::Closed => None,
            Next::Empty => {
                self.shown = self.shown.max(position.unwrap_or(self.shown));
                Some(Watched {
                    cursor: cursor::write(self.epoch, self.shown),
                    event: None,
                })
            }
        }
    }

    /// Why the tail delivers no more events.
    fn closed_reason(&self) -> Error {
        if self.subscription.has_ended(self.epoch) {
            return cursor::expired();
        }
        Error::new(
            Reason::WatcherTooSlow,
            "events arrived faster than they were read; resume from the cursor",
        )
        .with("cursor", cursor::write(self.epoch, self.shown))
    }

    fn shutting_down(&self) -> Error {
        Error::new(
            Reason::ShuttingDown,
            "this instance is going down; resume from the cursor on another",
        )
        .with("cursor", cursor::write(self.epoch, self.shown))
        .retry_after(Duration::ZERO)
    }
}
