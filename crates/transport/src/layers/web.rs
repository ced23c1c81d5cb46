//! gRPC-Web for pages of allowed origins.

use std::convert::Infallible;
use std::pin::Pin;

use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::ServiceExt as _;
use tower_http::cors::Cors;
use tower_layer::Layer as _;

use super::origin::{self, WebOrigins};
use super::recorded_body::RecordedBody;
use super::rpc::Rpc;

/// Service of gRPC-Web calls.
#[derive(Debug, Clone)]
pub(super) struct Web<S> {
    service: Cors<GrpcWebService<Rpc<S>>>,
    origins: WebOrigins,
}

pub(super) type WebFuture =
    Pin<Box<dyn Future<Output = Result<Response<RecordedBody>, Infallible>> + Send>>;

impl<S> Web<S> {
    pub(super) fn new(inner: Rpc<S>, origins: WebOrigins) -> Self {
        Self {
            service: origin::cors().layer(GrpcWebLayer::new().layer(inner)),
            origins,
        }
    }

    pub(super) fn allows(&self, headers: &HeaderMap) -> bool {
        origin::allows(&self.origins, headers)
    }
}

impl<S> Web<S>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    pub(super) fn call(&self, request: Request<Incoming>) -> WebFuture {
        let answer = self.service.clone().oneshot(request.map(Body::new));
        Box::pin(async move { Ok(answer.await?.map(RecordedBody::done)) })
    }
}
