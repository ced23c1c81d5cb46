//! Open calls of one connection, and detection of clients that do not read their replies.
//!
//! A client that reads the socket but grants its streams no window keeps their replies in memory. The connection is closed when
//! replies wait and the client reads nothing of any reply for [`IDLE_TICKS`] ticks.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::sleep;

use super::service::ReplyBody;

/// Time in which a live client answers the request to leave.
const IDLE_GRACE: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Interval of the check whether the client reads anything.
const TICK: Duration = Duration::from_secs(30);
/// Number of ticks without progress after which the connection is closed.
const IDLE_TICKS: u32 = 2;
/// Maximum size of a frame that is passed on at once.
const PIECE_BYTES: usize = 64 * 1024;

/// Counter of the calls of a connection. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenCalls(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    /// Replies that wait for the client.
    waiting: AtomicUsize,
    /// Whether the client has read a part of a reply since the last tick.
    progressed: AtomicBool,
}

/// Counts one open call until it is dropped.
#[derive(Debug)]
struct OpenCall(OpenCalls);

impl OpenCalls {
    /// Waits until no call is open, and the client has had time to leave.
    pub(super) async fn until_idle(self) {
        loop {
            sleep(IDLE_GRACE).await;
            if self.0.open.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }

    /// Returns when replies wait and the client has read nothing for too long.
    pub(super) async fn until_stalled(self) {
        let mut idle = 0;
        while idle < IDLE_TICKS {
            sleep(TICK).await;
            let progressed = self.0.progressed.swap(false, Ordering::Relaxed);
            let waits = self.0.waiting.load(Ordering::Relaxed) > 0;
            idle = if waits && !progressed { idle + 1 } else { 0 };
        }
    }

    /// Returns when no call is open.
    pub(super) async fn until_none_open(self) {
        while self.0.open.load(Ordering::Relaxed) > 0 {
            sleep(POLL_INTERVAL).await;
        }
    }

    fn begin(&self) -> OpenCall {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        OpenCall(self.clone())
    }

    fn wait(&self) -> WaitingReply {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        WaitingReply(self.clone())
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts one reply that waits for the client until it is dropped.
#[derive(Debug)]
struct WaitingReply(OpenCalls);

impl Drop for WaitingReply {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Service that counts the open calls, from the head of the request to the end of the response.
#[derive(Debug, Clone)]
pub(super) struct CallCounter<S> {
    pub(super) service: S,
    pub(super) calls: OpenCalls,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for CallCounter<S>
where
    B: ReplyBody,
    S: hyper::service::Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = std::convert::Infallible,
        >,
{
    type Response = Response<CountedBody<B>>;
    type Error = std::convert::Infallible;
    type Future = CountedFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        CountedFuture {
            call: Some(self.calls.begin()),
            response: self.service.call(request),
        }
    }
}

pin_project! {
    /// Future of a response; the call counts as open.
    pub(super) struct CountedFuture<F> {
        #[pin]
        response: F,
        call: Option<OpenCall>,
    }
}

impl<F, B, E> Future for CountedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: ReplyBody,
{
    type Output = Result<Response<CountedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let polled = ready!(this.response.poll(cx));
        let call = this.call.take();
        Poll::Ready(polled.map(|response| response.map(|body| CountedBody::new(body, call))))
    }
}

pin_project! {
    /// Response body; the call counts as open until the body is sent or dropped.
    pub(super) struct CountedBody<B> {
        #[pin]
        body: B,
        call: Option<OpenCall>,
        // Rest of a frame that is larger than `PIECE_BYTES`.
        rest: Bytes,
        whole: bool,
        waiting: Option<WaitingReply>,
    }
}

impl<B: ReplyBody> CountedBody<B> {
    fn new(body: B, call: Option<OpenCall>) -> Self {
        let whole = body.is_whole();
        let waiting = call.as_ref().filter(|_| whole);
        let waiting = waiting.map(|OpenCall(calls)| calls.wait());
        Self {
            body,
            call,
            rest: Bytes::new(),
            whole,
            waiting,
        }
    }
}

impl<B: ReplyBody> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        // This is polled for more when the client has read what was sent before.
        if let Some(OpenCall(calls)) = this.call {
            calls.0.progressed.store(true, Ordering::Relaxed);
        }
        *this.waiting = None;
        let polled = if this.rest.is_empty() {
            ready!(this.body.poll_frame(cx))
        } else {
            Some(Ok(Frame::data(std::mem::take(this.rest))))
        };
        if polled.is_none() {
            *this.call = None;
        }
        if *this.whole {
            *this.waiting = this.call.as_ref().map(|OpenCall(calls)| calls.wait());
        }
        Poll::Ready(polled.map(|polled| polled.map(|frame| split(frame, this.rest))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let inner = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// Returns the first piece of a frame and stores the rest. By the pieces, slow reading of a large frame counts as progress.
fn split(frame: Frame<Bytes>, rest: &mut Bytes) -> Frame<Bytes> {
    match frame.into_data() {
        Ok(mut data) if data.len() > PIECE_BYTES => {
            *rest = data.split_off(PIECE_BYTES);
            Frame::data(data)
        }
        Ok(data) => Frame::data(data),
        Err(frame) => frame,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt as _;

    use super::*;

    fn reply(calls: &OpenCalls) -> Pin<Box<CountedBody<axum::body::Body>>> {
        let body = axum::body::Body::from("reply");
        Box::pin(CountedBody::new(body, Some(calls.begin())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_is_not_read_ends_the_connection() {
        for polls in [0_u32, 1] {
            let calls = OpenCalls::default();
            let mut body = reply(&calls);
            for _ in 0..polls {
                poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
            }
            let begun = tokio::time::Instant::now();
            calls.until_stalled().await;
            let ticks = IDLE_TICKS + polls;
            assert_eq!(begun.elapsed(), TICK * ticks);
        }
    }

    /// The others may be read over a slow network, or by another client behind the same proxy.
    #[tokio::test(start_paused = true)]
    async fn a_reply_may_wait_while_others_are_read() {
        let calls = OpenCalls::default();
        let _waits = reply(&calls);
        let mut stalled = Box::pin(calls.clone().until_stalled());
        for _ in 0..6 {
            assert!(stalled.as_mut().now_or_never().is_none());
            let mut body = reply(&calls);
            while poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_some() {}
            tokio::time::advance(TICK).await;
        }
        assert!(stalled.as_mut().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn replies_that_are_read_keep_the_connection() {
        let calls = OpenCalls::default();
        let mut stalled = Box::pin(calls.clone().until_stalled());
        for _ in 0..6 {
            assert!(stalled.as_mut().now_or_never().is_none());
            let mut body = reply(&calls);
            tokio::time::advance(TICK).await;
            assert!(stalled.as_mut().now_or_never().is_none());
            while poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_some() {}
        }
        assert_eq!(calls.0.open.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_reply_may_be_read_slowly() {
        let calls = OpenCalls::default();
        let sent = vec![7; 10 * PIECE_BYTES + 1];
        let body = axum::body::Body::from(sent.clone());
        let mut body = Box::pin(CountedBody::new(body, Some(calls.begin())));
        let mut stalled = Box::pin(calls.until_stalled());
        let mut read = Vec::new();
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            read.extend(frame.unwrap().into_data().unwrap());
            let rest = (sent.len() - read.len()) as u64;
            assert_eq!(body.size_hint().exact(), Some(rest));
            tokio::time::advance(TICK).await;
            assert!(stalled.as_mut().now_or_never().is_none());
        }
        assert!(read == sent);
    }
}
