//! Applies what a handler leaves in the extensions of its response, since tonic has no other way to pass it: trailers, and a message
//! that is encoded already. This wraps a whole service, so that gRPC, gRPC-Web and JSON get the same reply.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::TryFutureExt as _;
use futures_util::future::MapOk;
use http::{Request, Response};
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

use super::{encoded, trailers};

/// Service around handlers that may leave trailers or an encoded message in the extensions of a response.
#[derive(Debug, Clone)]
pub(super) struct ReplyExtensions<S>(S);

impl<S> ReplyExtensions<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S: NamedService> NamedService for ReplyExtensions<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for ReplyExtensions<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = MapOk<S::Future, fn(Response<Body>) -> Response<Body>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.0.call(request).map_ok(apply)
    }
}

fn apply(response: Response<Body>) -> Response<Body> {
    trailers::apply(encoded::apply(response))
}
