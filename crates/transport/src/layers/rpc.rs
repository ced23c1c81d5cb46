//! Deadline, panic handling and record of every call. One service and one future instead of a layer for each, since every layer
//! costs every call.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use super::budget::{Budget, RequestBytes};
use super::call::{CallRecord, RpcState};
use super::metered::Metered;
use super::methods::{Method, MethodKind, Methods};
use super::recorded_body::RecordedBody;
use super::{cause, deadline, faults, rewrite};
use crate::listen::BoxError;

/// Service around the routes.
#[derive(Debug, Clone)]
pub struct Rpc<S> {
    inner: S,
    shared: Arc<RpcState>,
}

impl<S> Rpc<S> {
    /// Creates the service around `inner`.
    pub(super) fn new(inner: S, shared: Arc<RpcState>) -> Self {
        Self { inner, shared }
    }

    /// Whether new calls are refused because the drain has begun.
    pub fn is_draining(&self) -> bool {
        self.shared.shutdown.is_draining()
    }

    /// Returns when calls that still run are cut.
    pub async fn cut(&self) {
        self.shared.shutdown.cut().await;
    }

    /// Budget of the bytes of all requests.
    pub fn budget(&self) -> &Budget {
        &self.shared.budget
    }

    /// Records a call that was refused before it reached this service.
    pub fn refused(&self, path: &str, headers: &HeaderMap, code: Code) {
        let method = self.shared.methods.find(path).unwrap_or(Methods::other());
        CallRecord::new(Arc::clone(&self.shared), method, headers).finish(code);
    }
}

impl<S, B> Service<Request<B>> for Rpc<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + Unpin + 'static,
{
    type Response = Response<RecordedBody>;
    type Error = Infallible;
    type Future = RpcFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let Some(method) = self.shared.methods.find(path) else {
            let call = CallRecord::new(
                Arc::clone(&self.shared),
                Methods::other(),
                request.headers(),
            );
            return RpcFuture::refusal(call, faults::unknown_method(path));
        };
        let Method {
            kind,
            client_streams,
            ..
        } = *self.shared.methods.at(method);
        let call = CallRecord::new(Arc::clone(&self.shared), method, request.headers());
        let Ok(timeout) = deadline::of(request.headers(), kind) else {
            return RpcFuture::refusal(call, faults::malformed_timeout());
        };
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return RpcFuture::refusal(call, faults::deadline_exceeded());
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let request_bytes = self.shared.budget.register();
        let body_bytes = Arc::clone(&request_bytes);
        let request = request.map(|body| Body::new(Metered::new(body, body_bytes, client_streams)));
        // A handler can panic before it returns its future.
        match catch_unwind(AssertUnwindSafe(|| {
            call.span.in_scope(|| self.inner.call(request))
        })) {
            Ok(inner) => RpcFuture {
                inner: Some(inner),
                timeout: None,
                deadline,
                cut: None,
                call: Some(call),
                request_bytes: Some(request_bytes),
                refusal: None,
            },
            Err(_) => RpcFuture::refusal(call, faults::internal()),
        }
    }
}

pin_project! {
    /// Future of one call until its reply begins.
    pub struct RpcFuture<F> {
        #[pin]
        inner: Option<F>,
        // Created when the call first has to wait: a reply from memory needs no timer.
        #[pin]
        timeout: Option<Sleep>,
        deadline: Option<Instant>,
        // Created like the timer.
        cut: Option<BoxFuture<'static, ()>>,
        call: Option<CallRecord>,
        // Kept until the handler is done: its request is in memory until then.
        request_bytes: Option<Arc<RequestBytes>>,
        refusal: Option<Status>,
    }
}

impl<F> RpcFuture<F> {
    fn refusal(call: CallRecord, status: Status) -> Self {
        Self {
            inner: None,
            timeout: None,
            deadline: None,
            cut: None,
            call: Some(call),
            request_bytes: None,
            refusal: Some(status),
        }
    }
}

impl<F> Future for RpcFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<RecordedBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(call), Some(inner)) = (this.call.as_mut(), this.inner.as_mut().as_pin_mut())
        else {
            let status = this.refusal.take().unwrap_or_else(faults::internal);
            return Poll::Ready(Ok(refuse(this.call.take(), &status)));
        };
        let polled = {
            let _entered = call.span.enter();
            cause::take();
            catch_unwind(AssertUnwindSafe(|| inner.poll(cx)))
        };
        let status = match polled {
            Ok(Poll::Ready(Ok(response))) => {
                *this.request_bytes = None;
                return Poll::Ready(Ok(begin(this.call.take(), response, *this.deadline)));
            }
            Ok(Poll::Ready(Err(never))) => match never {},
            Ok(Poll::Pending) => {
                let shutdown = &call.shared.shutdown;
                let cut = this.cut.get_or_insert_with(|| {
                    let shutdown = shutdown.clone();
                    Box::pin(async move { shutdown.cut().await })
                });
                if let (None, Some(deadline)) = (&*this.timeout, *this.deadline) {
                    this.timeout.set(Some(sleep_until(deadline)));
                }
                let timeout = this.timeout.as_mut().as_pin_mut();
                if cut.as_mut().poll(cx).is_ready() {
                    faults::going_away()
                } else if timeout.is_some_and(|timeout| timeout.poll(cx).is_ready()) {
                    faults::deadline_exceeded()
                } else {
                    return Poll::Pending;
                }
            }
            Err(_) => faults::internal(),
        };
        // Dropped now, not when the reply has been sent: this cancels its statement in the database.
        this.inner.set(None);
        *this.request_bytes = None;
        Poll::Ready(Ok(refuse(this.call.take(), &status)))
    }
}

/// Makes a reply of headers alone, with this status.
fn refuse(call: Option<CallRecord>, status: &Status) -> Response<RecordedBody> {
    if let Some(mut call) = call {
        call.finish(status.code());
    }
    let mut response = Response::new(RecordedBody::done(Body::empty()));
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        tonic::metadata::GRPC_CONTENT_TYPE,
    );
    rewrite::write(status, headers);
    response
}

/// Begins the reply of a handler. Unless its headers end the call, the body records the end.
fn begin(
    call: Option<CallRecord>,
    response: Response<Body>,
    deadline: Option<Instant>,
) -> Response<RecordedBody> {
    let (mut head, body) = response.into_parts();
    let Some(mut call) = call else {
        return Response::from_parts(head, RecordedBody::done(body));
    };
    if let Some(code) = rewrite::normalize(&mut head.headers, &call.method().path) {
        call.finish(code);
        // tonic leaves the status here for layers; it may have been replaced.
        head.extensions.remove::<Status>();
        return Response::from_parts(head, RecordedBody::done(body));
    }
    if head.status != http::StatusCode::OK {
        call.finish(Code::Unknown);
    }
    let reply = match call.method().kind {
        // The whole reply is in memory already.
        MethodKind::Unary => RecordedBody::unary(body, call),
        MethodKind::Stream | MethodKind::EndlessStream => {
            RecordedBody::stream(body, call, deadline)
        }
    };
    Response::from_parts(head, reply)
}
