//! The calls that are open on one connection.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tokio::time::sleep;

/// A client that is there has answered the request to leave by then.
const IDLE_GRACE: Duration = Duration::from_secs(2);

/// Counts the calls of a connection. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Arc<AtomicUsize>);

/// An open call.
#[derive(Debug)]
struct Call(Calls);

impl Calls {
    /// Waits until no call is open, and the client has had time to answer.
    pub(super) async fn ended(self) {
        loop {
            sleep(IDLE_GRACE).await;
            if self.0.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }

    fn begin(&self) -> Call {
        self.0.fetch_add(1, Ordering::Relaxed);
        Call(self.clone())
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
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
{
    type Output = Result<Response<CountedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answered = ready!(this.answer.poll(cx));
        let call = this.call.take();
        Poll::Ready(answered.map(|response| response.map(|body| CountedBody { body, call })))
    }
}

pin_project! {
    /// The body of a response: the call is open until it is sent or dropped.
    pub(super) struct CountedBody<B> {
        #[pin]
        body: B,
        call: Option<Call>,
    }
}

impl<B: Body> Body for CountedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.project();
        let polled = ready!(this.body.poll_frame(cx));
        if polled.is_none() {
            *this.call = None;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
