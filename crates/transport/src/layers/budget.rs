//! The budget of buffered request bytes: one for the process, shared by gRPC, gRPC-Web and JSON.
//!
//! A request takes bytes from the budget as its body is read, and returns them when its handler is done. When the budget is used
//! up, a request that needs bytes waits up to [`LONGEST_WAIT`], and the requests that have been incomplete for longest are ended
//! to make room: a client that sends slowly, or never finishes, cannot block others.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Status;

use super::faults;

/// Maximum time that a request waits for room.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Budget of buffered bytes. Cheap to clone; clones share one budget.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes: usize,
    room: Semaphore,
    next: AtomicU64,
    blocked: Mutex<Blocked>,
}

/// Requests that wait for their client or for room, by the order in which they first waited.
#[derive(Debug, Default)]
struct Blocked {
    requests: BTreeMap<u64, (Arc<EndFlag>, usize)>,
    /// Bytes that requests wait for.
    wanted: usize,
    /// Bytes of requests that were ended and have not returned them yet.
    freeing: usize,
}

/// Notifies a request that it was ended.
#[derive(Debug, Default)]
struct EndFlag {
    ended: AtomicBool,
    /// Part of this request in [`Blocked::freeing`].
    freeing: AtomicUsize,
    waker: AtomicWaker,
}

impl Budget {
    /// Creates a budget of this many bytes.
    pub fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            bytes,
            room: Semaphore::new(bytes),
            next: AtomicU64::new(0),
            blocked: Mutex::default(),
        }))
    }

    /// Bytes that requests have taken.
    pub fn used(&self) -> usize {
        self.0.bytes - self.0.room.available_permits()
    }

    /// Registers a request, which has taken nothing yet.
    pub fn register(&self) -> Arc<RequestBytes> {
        Arc::new(RequestBytes {
            budget: self.clone(),
            bytes: AtomicUsize::new(0),
            flag: OnceLock::new(),
            position: AtomicU64::new(NO_POSITION),
        })
    }

    fn blocked(&self) -> MutexGuard<'_, Blocked> {
        self.0.blocked.lock()
    }
}

/// The request has not waited yet, so it has no position.
const NO_POSITION: u64 = u64::MAX;

/// Bytes that one request has taken from the budget; returned when this is dropped.
#[derive(Debug)]
pub struct RequestBytes {
    budget: Budget,
    bytes: AtomicUsize,
    /// Created by the first wait: most requests arrive complete.
    flag: OnceLock<Arc<EndFlag>>,
    /// Key in [`Blocked::requests`], with [`NOT_BLOCKED`] set while the request does not wait.
    position: AtomicU64,
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

    /// Takes bytes, and waits for room if there is none.
    pub async fn grow(&self, bytes: usize) -> Result<(), Status> {
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

    /// Returns all but this many bytes.
    pub(super) fn shrink(&self, bytes: usize) {
        let had = self.bytes.fetch_min(bytes, Ordering::Relaxed);
        if had > bytes {
            self.budget.0.room.add_permits(had - bytes);
        }
    }

    /// Registers the request as blocked while `polled` is pending; fails if the request was ended to make room.
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

    /// Waits for the client or for room; fails if the request is ended meanwhile to make room.
    pub async fn while_blocked<T>(&self, wait: impl Future<Output = T>) -> Result<T, Status> {
        let mut wait = pin!(wait);
        poll_fn(|cx| {
            let polled = wait.as_mut().poll(cx);
            self.watch(cx, polled)
        })
        .await
    }

    /// Registers that the request is incomplete and waits; from now on it may be ended.
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
        let position = self.position.load(Ordering::Relaxed);
        let position = if position == NO_POSITION {
            self.budget.0.next.fetch_add(1, Ordering::Relaxed)
        } else {
            position & !NOT_BLOCKED
        };
        self.position.store(position, Ordering::Relaxed);
        blocked.requests.insert(position, (Arc::clone(flag), bytes));
        // Another request may have begun to wait before this one could be ended.
        blocked.make_room();
    }

    /// Registers that the request no longer waits.
    fn unblock(&self) {
        if self.is_blocked() {
            let position = self.position.fetch_or(NOT_BLOCKED, Ordering::Relaxed);
            self.budget.blocked().requests.remove(&position);
        }
    }

    fn is_blocked(&self) -> bool {
        self.position.load(Ordering::Relaxed) & NOT_BLOCKED == 0
    }

    /// Whether the request was ended to make room.
    fn is_ended(&self) -> bool {
        let flag = self.flag.get();
        flag.is_some_and(|flag| flag.ended.load(Ordering::Acquire))
    }
}

/// Bit of a position that marks a request that is not blocked.
const NOT_BLOCKED: u64 = 1 << 63;

impl Drop for RequestBytes {
    fn drop(&mut self) {
        self.unblock();
        if let Some(flag) = self.flag.get() {
            let mut blocked = self.budget.blocked();
            blocked.freeing -= flag.freeing.load(Ordering::Relaxed);
        }
        self.budget.0.room.add_permits(self.bytes());
    }
}

impl Blocked {
    /// Ends the oldest requests until the bytes that they return are enough for the waiting ones.
    fn make_room(&mut self) {
        while self.freeing < self.wanted
            && let Some((_, (flag, bytes))) = self.requests.pop_first()
        {
            flag.freeing.store(bytes, Ordering::Relaxed);
            self.freeing += bytes;
            flag.ended.store(true, Ordering::Release);
            flag.waker.wake();
        }
    }
}

/// Counts bytes as wanted until it is dropped.
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
    fn bytes_are_returned() {
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
    async fn without_room_a_request_is_refused_with_a_retry_delay() {
        let budget = Budget::new(10);
        let request_bytes = budget.register();
        assert!(request_bytes.try_grow(10));
        let status = budget.register().grow(1).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert!(status.metadata().contains_key("grpc-retry-pushback-ms"));
        assert_eq!(budget.blocked().wanted, 0);
    }

    #[tokio::test]
    async fn a_request_that_no_longer_waits_is_not_ended() {
        let budget = Budget::new(10);
        let request_bytes = budget.register();
        assert!(request_bytes.try_grow(10));
        request_bytes.block(Waker::noop());
        request_bytes.unblock();
        assert!(budget.register().grow(1).now_or_never().is_none());
        assert!(!request_bytes.is_ended());
    }
}
