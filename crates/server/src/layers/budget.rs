//! The budget of buffered request bytes: one for the process, shared by gRPC, gRPC-Web and JSON.
//!
//! A request pays for its bytes as they are read, and gets them back when its handler is done. When the budget is used up, a
//! request that needs bytes waits for a moment, and the requests that have been incomplete for longest are ended in its favour:
//! a client that sends slowly, or never finishes, cannot keep others out.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Status;

use super::faults;

/// How long a request waits for room.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Cheap to clone; clones are one budget.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes: usize,
    room: Semaphore,
    next: AtomicU64,
    blocked: Mutex<Blocked>,
}

/// Requests that wait for their client or for room, by age.
#[derive(Debug, Default)]
struct Blocked {
    requests: BTreeMap<u64, (Arc<Flag>, usize)>,
    /// Bytes that requests wait for.
    wanted: usize,
    /// Bytes of requests that were ended and have not given them back yet.
    coming: usize,
}

/// How a request learns that it was ended.
#[derive(Debug, Default)]
struct Flag {
    ended: AtomicBool,
    /// Its part of [`Blocked::coming`].
    coming: AtomicUsize,
    waker: AtomicWaker,
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            bytes,
            room: Semaphore::new(bytes),
            next: AtomicU64::new(0),
            blocked: Mutex::default(),
        }))
    }

    /// Bytes that requests request_bytes.
    pub fn used(&self) -> usize {
        self.0.bytes - self.0.room.available_permits()
    }

    /// A new request, which requests nothing yet.
    pub(crate) fn register(&self) -> Arc<RequestBytes> {
        Arc::new(RequestBytes {
            budget: self.clone(),
            bytes: AtomicUsize::new(0),
            flag: OnceLock::new(),
            place: AtomicU64::new(NOWHERE),
        })
    }

    fn blocked(&self) -> MutexGuard<'_, Blocked> {
        self.0
            .blocked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Not among the blocked ones and without an age so far.
const NOWHERE: u64 = u64::MAX;

/// The bytes of one request; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct RequestBytes {
    budget: Budget,
    bytes: AtomicUsize,
    /// Made by the first wait: most requests arrive whole.
    flag: OnceLock<Arc<Flag>>,
    place: AtomicU64,
}

impl RequestBytes {
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes bytes if there is room and no other request waits for it.
    pub(super) fn try_grow(&self, bytes: usize) -> bool {
        let Ok(more) = u32::try_from(bytes) else {
            return false;
        };
        match self.budget.0.room.try_acquire_many(more) {
            Ok(permit) => {
                permit.forget();
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                true
            }
            Err(_) => false,
        }
    }

    /// Takes bytes, and waits for room where there is none.
    pub(crate) async fn grow(&self, bytes: usize) -> Result<(), Status> {
        if self.try_grow(bytes) {
            return Ok(());
        }
        let more = u32::try_from(bytes).map_err(|_| faults::overloaded())?;
        let _wanted = Wanted::new(&self.budget, bytes);
        match timeout(LONGEST_WAIT, self.budget.0.room.acquire_many(more)).await {
            Ok(Ok(permit)) => {
                permit.forget();
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(faults::overloaded()),
        }
    }

    /// Gives back what is beyond these bytes.
    pub(super) fn shrink(&self, bytes: usize) {
        let had = self.bytes.fetch_min(bytes, Ordering::Relaxed);
        if had > bytes {
            self.budget.0.room.add_permits(had - bytes);
        }
    }

    /// Reports the state of a wait; ends it when the request was ended in favour of others.
    pub(super) fn watch<T>(&self, cx: &Context<'_>, polled: Poll<T>) -> Poll<Result<T, Status>> {
        if polled.is_pending() {
            self.block(cx.waker());
        }
        if self.is_ended() {
            return Poll::Ready(Err(faults::overloaded()));
        }
        if polled.is_ready() {
            self.unblock();
        }
        polled.map(Ok)
    }

    /// Waits for the client or for room.
    pub(crate) async fn while_blocked<T>(
        &self,
        wait: impl Future<Output = T>,
    ) -> Result<T, Status> {
        let mut wait = pin!(wait);
        poll_fn(|cx| {
            let polled = wait.as_mut().poll(cx);
            self.watch(cx, polled)
        })
        .await
    }

    /// Notes that the request is incomplete and has to wait; from now on it may be ended.
    fn block(&self, waker: &Waker) {
        let bytes = self.bytes();
        if bytes == 0 {
            return;
        }
        let flag = self.flag.get_or_init(Arc::default);
        flag.waker.register(waker);
        if self.is_blocked() {
            return;
        }
        let mut blocked = self.budget.blocked();
        // The age of a request is that of its first wait.
        let place = self.place.load(Ordering::Relaxed);
        let place = if place == NOWHERE {
            self.budget.0.next.fetch_add(1, Ordering::Relaxed)
        } else {
            place & !AWAY
        };
        self.place.store(place, Ordering::Relaxed);
        blocked.requests.insert(place, (Arc::clone(flag), bytes));
        // Another request may have begun to wait before this one was here to be ended.
        blocked.make_room();
    }

    /// Notes that it goes on.
    fn unblock(&self) {
        if self.is_blocked() {
            let place = self.place.fetch_or(AWAY, Ordering::Relaxed);
            self.budget.blocked().requests.remove(&place);
        }
    }

    fn is_blocked(&self) -> bool {
        self.place.load(Ordering::Relaxed) & AWAY == 0
    }

    /// Whether the request was ended in favour of others.
    fn is_ended(&self) -> bool {
        let flag = self.flag.get();
        flag.is_some_and(|flag| flag.ended.load(Ordering::Acquire))
    }
}

/// Marks the place of a request that is not blocked now.
const AWAY: u64 = 1 << 63;

impl Drop for RequestBytes {
    fn drop(&mut self) {
        self.unblock();
        if let Some(flag) = self.flag.get() {
            let mut blocked = self.budget.blocked();
            blocked.coming -= flag.coming.load(Ordering::Relaxed);
        }
        self.budget.0.room.add_permits(self.bytes());
    }
}

impl Blocked {
    /// Ends the oldest until what is coming is enough for those that wait.
    fn make_room(&mut self) {
        while self.coming < self.wanted
            && let Some((_, (flag, bytes))) = self.requests.pop_first()
        {
            flag.coming.store(bytes, Ordering::Relaxed);
            self.coming += bytes;
            flag.ended.store(true, Ordering::Release);
            flag.waker.wake();
        }
    }
}

/// Counts bytes as wanted while it lives.
struct Wanted<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl<'a> Wanted<'a> {
    fn new(budget: &'a Budget, bytes: usize) -> Self {
        let mut blocked = budget.blocked();
        blocked.wanted += bytes;
        blocked.make_room();
        drop(blocked);
        Self { budget, bytes }
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.budget.blocked().wanted -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn bytes_are_given_back() {
        let budget = Budget::new(100);
        let request_bytes = budget.register();
        assert!(
            request_bytes.try_grow(60) && request_bytes.try_grow(40) && !request_bytes.try_grow(1)
        );
        request_bytes.shrink(30);
        assert_eq!(budget.used(), 30);
        drop(request_bytes);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_incomplete_request_makes_room() {
        let budget = Budget::new(100);
        let requests = [budget.register(), budget.register(), budget.register()];
        for request_bytes in &requests {
            assert!(request_bytes.try_grow(30));
        }
        // The second has waited for longest, then the third; the first is complete.
        for request_bytes in &requests[1..] {
            request_bytes.block(Waker::noop());
        }
        let new = budget.register();
        let mut growing = Box::pin(new.grow(20));
        assert!(growing.as_mut().now_or_never().is_none());
        assert_eq!(
            requests.each_ref().map(|h| h.is_ended()),
            [false, true, false]
        );
        let [first, second, third] = requests;
        drop(second);
        growing.await.unwrap();
        assert_eq!(budget.used(), 80);
        assert!(!first.is_ended() && !third.is_ended());
        assert!(new.try_grow(20));
    }

    #[tokio::test(start_paused = true)]
    async fn without_room_a_request_is_refused_and_asked_to_come_again() {
        let budget = Budget::new(10);
        let request_bytes = budget.register();
        assert!(request_bytes.try_grow(10));
        let status = budget.register().grow(1).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert!(status.metadata().contains_key("grpc-retry-pushback-ms"));
        assert_eq!(budget.blocked().wanted, 0);
    }

    #[tokio::test]
    async fn a_request_that_goes_on_is_not_ended() {
        let budget = Budget::new(10);
        let request_bytes = budget.register();
        assert!(request_bytes.try_grow(10));
        request_bytes.block(Waker::noop());
        request_bytes.unblock();
        assert!(budget.register().grow(1).now_or_never().is_none());
        assert!(!request_bytes.is_ended());
    }
}
