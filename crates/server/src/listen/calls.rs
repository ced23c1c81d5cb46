//! The calls that are open on one connection, and the replies that its client does not take.
//!
//! A client that reads the socket but grants its streams no window holds their replies in memory. The connection ends when
//! replies wait and nothing of any reply is taken for some time.

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

use super::ReplyBody;

/// A client that is there has answered the request to leave by then.
const IDLE_GRACE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How often it is looked whether the client takes anything.
const TICK: Duration = Duration::from_secs(30);
/// After so many ticks without anything taken the connection ends.
const IDLE_TICKS: u32 = 2;
const PIECE_BYTES: usize = 64 * 1024;

/// Counts the calls of a connection. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    /// Replies that wait for the client.
    waiting: AtomicUsize,
    /// Whether the client took a piece of a reply since the last tick.
    taken: AtomicBool,
}

/// An open call.
#[derive(Debug)]
struct Call(Calls);

impl Calls {
    /// Waits until no call is open, and the client has had time to answer.
    pub(super) async fn ended(self) {
        loop {
            sleep(IDLE_GRACE).await;
            if self.0.open.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }

    /// Returns when replies wait and the client has taken nothing for too long.
    pub(super) async fn left_untaken(self) {
        let mut idle = 0;
        while idle < IDLE_TICKS {
            sleep(TICK).await;
            let is_taken = self.0.taken.swap(false, Ordering::Relaxed);
            let waits = self.0.waiting.load(Ordering::Relaxed) > 0;
            idle = if waits && !is_taken { idle + 1 } else { 0 };
        }
    }

    /// Returns when no call is open.
    pub(super) async fn none_open(self) {
        while self.0.open.load(Ordering::Relaxed) > 0 {
            sleep(LOOK_AGAIN).await;
        }
    }

    fn begin(&self) -> Call {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Call(self.clone())
    }

    fn wait(&self) -> Waiting {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(self.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A reply that waits for the client.
#[derive(Debug)]
struct Waiting(Calls);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A service whose calls are counted, from the head of the request to the end of the response.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    pub(super) service: S,
    pub(super) calls: Calls,
}

impl<S, B> hyper::service::Service<Request<Incoming>> for Counted<S>
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
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        Answering {
            call: Some(self.calls.begin()),
            answer: self.service.call(request),
        }
    }
}

pin_project! {
    /// A call without a response yet.
    pub(super) struct Answering<F> {
        #[pin]
        answer: F,
        call: Option<Call>,
    }
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: ReplyBody,
{
    type Output = Result<Response<CountedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = ready!(this.answer.poll(cx));
        let call = this.call.take();
        Poll::Ready(answered.map(|response| response.map(|body| CountedBody::new(body, call))))
    }
}

pin_project! {
    /// The body of a response: the call is open until it is sent or dropped.
    pub(super) struct CountedBody<B> {
        #[pin]
        body: B,
        call: Option<Call>,
        // What is left of a frame that is larger than a piece.
        rest: Bytes,
        whole: bool,
        waiting: Option<Waiting>,
    }
}

impl<B: ReplyBody> CountedBody<B> {
    fn new(body: B, call: Option<Call>) -> Self {
        let whole = body.is_whole();
        let waiting = call.as_ref().filter(|_| whole);
        let waiting = waiting.map(|Call(calls)| calls.wait());
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
        // It is asked for more when the client has taken what was given before.
        if let Some(Call(calls)) = this.call {
            calls.0.taken.store(true, Ordering::Relaxed);
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
            *this.waiting = this.call.as_ref().map(|Call(calls)| calls.wait());
        }
        Poll::Ready(polled.map(|polled| polled.map(|frame| cut(frame, this.rest))))
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

/// The first piece of a frame. A client that takes a large frame slowly is seen to take its pieces.
fn cut(frame: Frame<Bytes>, rest: &mut Bytes) -> Frame<Bytes> {
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

    fn reply(calls: &Calls) -> Pin<Box<CountedBody<axum::body::Body>>> {
        let body = axum::body::Body::from("reply");
        Box::pin(CountedBody::new(body, Some(calls.begin())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_is_not_taken_ends_the_connection() {
        for polls in [0_u32, 1] {
            let calls = Calls::default();
            let mut body = reply(&calls);
            for _ in 0..polls {
                poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
            }
            let begun = tokio::time::Instant::now();
            calls.left_untaken().await;
            let ticks = IDLE_TICKS + polls;
            assert_eq!(begun.elapsed(), TICK * ticks);
        }
    }

    /// They may be of one slow line, on which each comes rarely, or of another caller behind the same proxy.
    #[tokio::test(start_paused = true)]
    async fn a_reply_may_wait_while_others_are_taken() {
        let calls = Calls::default();
        let _waits = reply(&calls);
        let mut left = Box::pin(calls.clone().left_untaken());
        for _ in 0..6 {
            assert!(left.as_mut().now_or_never().is_none());
            let mut body = reply(&calls);
            while poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_some() {}
            tokio::time::advance(TICK).await;
        }
        assert!(left.as_mut().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn replies_that_are_taken_do_not() {
        let calls = Calls::default();
        let mut left = Box::pin(calls.clone().left_untaken());
        for _ in 0..6 {
            assert!(left.as_mut().now_or_never().is_none());
            let mut body = reply(&calls);
            tokio::time::advance(TICK).await;
            assert!(left.as_mut().now_or_never().is_none());
            while poll_fn(|cx| body.as_mut().poll_frame(cx)).await.is_some() {}
        }
        assert_eq!(calls.0.open.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_reply_may_be_taken_slowly() {
        let calls = Calls::default();
        let sent = vec![7; 10 * PIECE_BYTES + 1];
        let body = axum::body::Body::from(sent.clone());
        let mut body = Box::pin(CountedBody::new(body, Some(calls.begin())));
        let mut left = Box::pin(calls.left_untaken());
        let mut taken = Vec::new();
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            taken.extend(frame.unwrap().into_data().unwrap());
            let rest = (sent.len() - taken.len()) as u64;
            assert_eq!(body.size_hint().exact(), Some(rest));
            tokio::time::advance(TICK).await;
            assert!(left.as_mut().now_or_never().is_none());
        }
        assert!(taken == sent);
    }
}
