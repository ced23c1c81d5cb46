//! Queues of events that wait for watchers, and their common memory budget.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use parlance_storage::feed::{FeedEvent, PAGE_BYTES};
use tokio::sync::Notify;

/// Events that wait for one watcher before it counts as too slow.
const EVENTS: usize = 1_024;
/// Memory of an event in addition to its copy of the row.
const OVERHEAD: u64 = 512;
/// The smallest page of the past, however many watchers share the budget.
const SMALLEST_PAGE: u64 = 16 * 1024;

/// Event in memory, shared by watchers. It counts once, until the last of them has dropped it.
#[derive(Debug)]
pub(crate) struct Buffered {
    event: FeedEvent,
    counted: Counted,
}

#[derive(Debug)]
struct Counted {
    bytes: u64,
    used: Arc<AtomicU64>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Buffered {
    pub(crate) const fn event(&self) -> &FeedEvent {
        &self.event
    }

    pub(crate) fn take(shared: Arc<Self>) -> FeedEvent {
        match Arc::try_unwrap(shared) {
            Ok(alone) => alone.event,
            Err(shared) => shared.event.clone(),
        }
    }

    fn bytes(&self) -> u64 {
        self.counted.bytes
    }
}

/// Memory budget of the waiting events of this process. Above it the fullest queue is emptied.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: Arc<AtomicU64>,
    queues: Mutex<HashMap<u64, Weak<Queue>>>,
    next_id: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: Arc::default(),
            queues: Mutex::default(),
            next_id: AtomicU64::new(0),
        })
    }

    /// Bytes of all waiting events.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Creates a queue under this budget.
    pub(crate) fn queue(self: &Arc<Self>) -> Arc<Queue> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let queue = Arc::new(Queue {
            id,
            budget: Arc::clone(self),
            waiting: Mutex::default(),
            changed: Notify::new(),
        });
        self.lock().insert(id, Arc::downgrade(&queue));
        queue
    }

    /// Wraps an event so that it counts from now on.
    pub(crate) fn count(&self, event: FeedEvent) -> Arc<Buffered> {
        let bytes = event.bytes.saturating_add(OVERHEAD);
        self.used.fetch_add(bytes, Ordering::Relaxed);
        let used = Arc::clone(&self.used);
        Arc::new(Buffered {
            event,
            counted: Counted { bytes, used },
        })
    }

    /// Size limit of a page of the past, so that one page for each watcher fits.
    pub(crate) fn page_bytes(&self) -> u64 {
        let queues = u64::try_from(self.lock().len()).unwrap_or(u64::MAX);
        let share = self.limit.checked_div(queues).unwrap_or(self.limit);
        share.clamp(SMALLEST_PAGE, PAGE_BYTES)
    }

    /// Empties the fullest queues until the rest fits.
    pub(crate) fn make_room(&self) {
        if self.used() <= self.limit {
            return;
        }
        // If this is the last holder of a queue, dropping it takes the lock, so the lock is not held here.
        let mut queues: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        queues.sort_by_cached_key(|queue| queue.bytes());
        while self.used() > self.limit
            && let Some(fullest) = queues.pop()
        {
            fullest.evict();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Weak<Queue>>> {
        self.queues.lock()
    }
}

/// Events that wait for one watcher.
#[derive(Debug)]
pub(crate) struct Queue {
    id: u64,
    budget: Arc<Budget>,
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Arc<Buffered>>,
    bytes: u64,
    closed: bool,
}

/// Result of taking from a queue.
#[derive(Debug)]
pub(crate) enum Next {
    Event(Arc<Buffered>),
    /// No event yet.
    Empty,
    /// It was emptied to make room, or had no room for an event; no more events come.
    Closed,
}

impl Queue {
    /// Appends an event; `false` if the queue is closed, which it is once too many events wait in it.
    pub(crate) fn push(&self, event: Arc<Buffered>) -> bool {
        let mut waiting = self.lock();
        if waiting.events.len() >= EVENTS {
            waiting.closed = true;
        }
        let open = !waiting.closed;
        if open {
            waiting.bytes = waiting.bytes.saturating_add(event.bytes());
            waiting.events.push_back(event);
        }
        drop(waiting);
        self.changed.notify_one();
        open
    }

    /// Closes the queue: no event comes after those that wait.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Takes the next event, if there is one.
    pub(crate) fn pop(&self) -> Next {
        let mut waiting = self.lock();
        match waiting.events.pop_front() {
            Some(event) => {
                waiting.bytes = waiting.bytes.saturating_sub(event.bytes());
                Next::Event(event)
            }
            None if waiting.closed => Next::Closed,
            None => Next::Empty,
        }
    }

    /// Waits for the next event; `None` if no more come. Safe to drop and call again.
    pub(crate) async fn next(&self) -> Option<Arc<Buffered>> {
        loop {
            match self.pop() {
                Next::Event(event) => return Some(event),
                Next::Closed => return None,
                Next::Empty => self.changed.notified().await,
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    fn evict(&self) {
        let mut waiting = self.lock();
        if waiting.events.is_empty() {
            return;
        }
        waiting.events = VecDeque::new();
        waiting.bytes = 0;
        waiting.closed = true;
        drop(waiting);
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.budget.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_past_share_the_budget() {
        let limit = 8 * SMALLEST_PAGE;
        let budget = Budget::new(limit);
        let mut queues = Vec::new();
        for (count, page) in [
            (1, limit),
            (2, limit / 2),
            (4, limit / 4),
            (8, SMALLEST_PAGE),
            (16, SMALLEST_PAGE),
        ] {
            queues.resize_with(count, || budget.queue());
            assert_eq!(budget.page_bytes(), page, "{count} queues");
        }
        queues.truncate(2);
        assert_eq!(
            budget.page_bytes(),
            limit / 2,
            "a dropped queue has no share"
        );
        assert_eq!(Budget::new(u64::MAX).page_bytes(), PAGE_BYTES);
    }
}
