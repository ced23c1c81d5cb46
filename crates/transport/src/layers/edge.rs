//! Dispatch of requests by protocol: gRPC, gRPC-Web or neither. A native gRPC call costs one check of its content type.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower::Service as _;

use super::call::RpcState;
use super::origin::WebOrigins;
use super::recorded_body::RecordedBody;
use super::rpc::{Rpc, RpcFuture};
use super::web::{Web, WebFuture};

/// Service of the gRPC port. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Edge<S> {
    rpc: Rpc<S>,
    web: Arc<Web<S>>,
}

impl<S: Clone> Edge<S> {
    /// Creates the service in front of these routes.
    pub fn new(routes: S, shared: Arc<RpcState>, origins: WebOrigins) -> Self {
        let rpc = Rpc::new(routes, shared);
        let web = Arc::new(Web::new(rpc.clone(), origins));
        Self { rpc, web }
    }

    /// Returns the service of the same calls, for the JSON port.
    pub fn rpc(&self) -> Rpc<S> {
        self.rpc.clone()
    }
}

impl<S, F> hyper::service::Service<Request<Incoming>> for Edge<S>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future = F>
        + Clone
        + Send
        + Sync
        + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    type Response = Response<RecordedBody>;
    type Error = Infallible;
    type Future = EdgeFuture<F>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        match Protocol::of(&request) {
            // Routes are always ready: they have no queue that could be full.
            Protocol::Grpc => EdgeFuture::Grpc {
                future: self.rpc.clone().call(request),
            },
            Protocol::GrpcWeb if self.web.allows(request.headers()) => EdgeFuture::Web {
                future: self.web.call(request),
            },
            Protocol::GrpcWeb => EdgeFuture::plain(
                StatusCode::FORBIDDEN,
                "this origin may not call; see GRPC_WEB_ORIGINS\n",
            ),
            Protocol::Other => EdgeFuture::plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "this port serves gRPC over HTTP/2 and gRPC-Web; health and metrics are on the HTTP port\n",
            ),
        }
    }
}

/// Protocol of a request.
enum Protocol {
    Grpc,
    GrpcWeb,
    Other,
}

impl Protocol {
    fn of<B>(request: &Request<B>) -> Self {
        let kind = content_type(request.headers());
        if kind.starts_with(b"application/grpc-web") || *request.method() == Method::OPTIONS {
            Self::GrpcWeb
        } else if kind.starts_with(b"application/grpc") && request.version() == Version::HTTP_2 {
            Self::Grpc
        } else {
            Self::Other
        }
    }
}

fn content_type(headers: &HeaderMap) -> &[u8] {
    headers
        .get(header::CONTENT_TYPE)
        .map_or(b"", HeaderValue::as_bytes)
}

pin_project! {
    /// Response to one request.
    #[project = EdgeProjection]
    pub enum EdgeFuture<F> {
        /// A native call.
        Grpc { #[pin] future: RpcFuture<F> },
        /// A gRPC-Web call.
        Web { future: WebFuture },
        /// A refusal in plain text.
        Plain { answer: Option<Response<RecordedBody>> },
    }
}

impl<F> EdgeFuture<F> {
    fn plain(status: StatusCode, text: &'static str) -> Self {
        let body = Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {});
        let mut answer = Response::new(RecordedBody::done(Body::new(body)));
        *answer.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        answer.headers_mut().insert(header::CONTENT_TYPE, plain);
        Self::Plain {
            answer: Some(answer),
        }
    }
}

impl<F> Future for EdgeFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<RecordedBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            EdgeProjection::Grpc { future } => future.poll(cx),
            EdgeProjection::Web { future } => future.as_mut().poll(cx),
            EdgeProjection::Plain { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => Poll::Pending,
            },
        }
    }
}
