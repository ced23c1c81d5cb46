//! Response body that records the end of its call, and ends streams at their deadline and at a shutdown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};

use super::call::CallRecord;
use super::methods::MethodKind;
use super::{cause, faults, rewrite};
use crate::listen::ReplyBody;

type EarlyEnd = Pin<Box<dyn Future<Output = Status> + Send>>;

/// Response body that records the end of its call.
pub struct RecordedBody {
    body: Body,
    call: Option<CallRecord>,
    /// Returns the status when a stream must end before its handler ends it.
    early_end: Option<EarlyEnd>,
}

impl std::fmt::Debug for RecordedBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordedBody")
            .field("recording", &self.call.is_some())
            .finish_non_exhaustive()
    }
}

impl RecordedBody {
    /// Creates a body of a call that is recorded already.
    pub(super) fn done(body: Body) -> Self {
        Self {
            body,
            call: None,
            early_end: None,
        }
    }

    pub(super) fn unary(body: Body, call: CallRecord) -> Self {
        Self {
            body,
            call: Some(call),
            early_end: None,
        }
    }

    pub(super) fn stream(body: Body, call: CallRecord, deadline: Option<Instant>) -> Self {
        let endless = call.method().kind == MethodKind::EndlessStream;
        let shutdown = endless.then(|| call.shared.shutdown.clone());
        let early_end: Option<EarlyEnd> = match (deadline, shutdown) {
            (None, None) => None,
            (Some(deadline), None) => Some(Box::pin(async move {
                sleep_until(deadline).await;
                faults::deadline_exceeded()
            })),
            (None, Some(shutdown)) => Some(Box::pin(async move {
                shutdown.draining().await;
                faults::going_away()
            })),
            (Some(deadline), Some(shutdown)) => Some(Box::pin(async move {
                tokio::select! {
                    () = sleep_until(deadline) => faults::deadline_exceeded(),
                    () = shutdown.draining() => faults::going_away(),
                }
            })),
        };
        Self {
            body,
            call: Some(call),
            early_end,
        }
    }

    fn finish(&mut self, code: Code) {
        self.early_end = None;
        if let Some(mut call) = self.call.take() {
            call.finish(code);
        }
    }

    /// Ends the stream with this status and drops the rest of the handler's stream.
    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        self.body = Body::empty();
        self.finish(status.code());
        let mut trailers = HeaderMap::new();
        rewrite::write(status, &mut trailers);
        Frame::trailers(trailers)
    }
}

impl ReplyBody for RecordedBody {
    fn is_whole(&self) -> bool {
        let kind = self.call.as_ref().map(|call| call.method().kind);
        kind == Some(MethodKind::Unary)
    }
}

impl http_body::Body for RecordedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(call) = &this.call else {
            return Pin::new(&mut this.body).poll_frame(cx);
        };
        let polled = {
            let _entered = call.span.enter();
            cause::take();
            catch_unwind(AssertUnwindSafe(|| Pin::new(&mut this.body).poll_frame(cx)))
        };
        match polled {
            Ok(Poll::Ready(Some(Ok(mut frame)))) => {
                if let Some(trailers) = frame.trailers_mut() {
                    let code = rewrite::normalize(trailers, &call.method().path);
                    this.finish(code.unwrap_or(Code::Unknown));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Ok(Poll::Ready(Some(Err(status)))) => {
                this.finish(status.code());
                Poll::Ready(Some(Err(status)))
            }
            Ok(Poll::Ready(None)) => {
                this.finish(Code::Unknown);
                Poll::Ready(None)
            }
            Ok(Poll::Pending) => {
                let early_end = this.early_end.as_mut().map(|end| end.as_mut().poll(cx));
                match early_end {
                    Some(Poll::Ready(status)) => Poll::Ready(Some(Ok(this.end(&status)))),
                    Some(Poll::Pending) | None => Poll::Pending,
                }
            }
            Err(_) => Poll::Ready(Some(Ok(this.end(&faults::internal())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream() && self.call.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
