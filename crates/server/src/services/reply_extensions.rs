//! What a handler leaves beside its reply, since tonic has no place for it: trailers, and the message itself where it is encoded
//! already. Here it is put where it belongs, around a whole service, so whichever way a call came, its answer is the same.

use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::TryFutureExt as _;
use futures_util::future::MapOk;
use http::{Request, Response};
use tonic::body::Body;
use tonic::server::NamedService;
use tower_service::Service;

use super::{encoded, trailers};

/// A service whose handlers may leave something beside their replies.
#[derive(Debug, Clone)]
pub(super) struct Beside<S>(S);

impl<S> Beside<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self(inner)
    }
}

impl<S: NamedService> NamedService for Beside<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Beside<S>
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
        self.0.call(request).map_ok(put)
    }
}

fn put(response: Response<Body>) -> Response<Body> {
    trailers::put(encoded::put(response))
}
