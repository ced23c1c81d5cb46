//! Ends request streams when the drain begins. Reflection reads its client's stream in a task of its own, which goes on after the
//! reply was ended; while that task keeps the request open, the connection stays busy until `DRAIN_TIMEOUT`.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use crate::shutdown::Shutdown;

/// Service around another one that ends the request streams when the drain begins.
#[derive(Debug, Clone)]
pub struct UntilDrain<S> {
    inner: S,
    shutdown: Shutdown,
}

impl<S> UntilDrain<S> {
    /// Creates the service around `inner`.
    pub const fn new(inner: S, shutdown: Shutdown) -> Self {
        Self { inner, shutdown }
    }
}

impl<S: NamedService> NamedService for UntilDrain<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for UntilDrain<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shutdown = self.shutdown.clone();
        self.inner.call(request.map(|body| {
            Body::new(BodyUntilDrain {
                body,
                draining: Box::pin(async move { shutdown.draining().await }),
            })
        }))
    }
}

/// Request body that ends when the drain begins.
struct BodyUntilDrain {
    body: Body,
    draining: BoxFuture<'static, ()>,
}

impl http_body::Body for BodyUntilDrain {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => self.draining.as_mut().poll(cx).map(|()| None),
            ready @ Poll::Ready(_) => ready,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
