//! The body of a reply: where streams meet their deadline and the shutdown, and where every call ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, sleep_until};
use tonic::body::Body;
use tonic::{Code, Status};

use super::call::Call;
use super::methods::Shape;
use super::{cause, faults, rewrite};
use crate::listen::ReplyBody;

type Ending = Pin<Box<dyn Future<Output = Status> + Send>>;

/// A body that is watched to its end.
pub struct Reply {
    body: Body,
    call: Option<Call>,
    /// Comes when a stream must end before it is done.
    ending: Option<Ending>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply")
            .field("watched", &self.call.is_some())
            .finish_non_exhaustive()
    }
}

impl Reply {
    /// Nothing is left to watch.
    pub(super) fn done(body: Body) -> Self {
        Self {
            body,
            call: None,
            ending: None,
        }
    }

    pub(super) fn unary(body: Body, call: Call) -> Self {
        Self {
            body,
            call: Some(call),
            ending: None,
        }
    }

    pub(super) fn stream(body: Body, call: Call, deadline: Option<Instant>) -> Self {
        let endless = call.method().shape == Shape::EndlessStream;
        let shutdown = endless.then(|| call.shared.shutdown.clone());
        let ending: Option<Ending> = match (deadline, shutdown) {
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
            ending,
        }
    }

    fn finish(&mut self, code: Code) {
        self.ending = None;
        if let Some(mut call) = self.call.take() {
            call.finish(code);
        }
    }

    /// Ends the stream by a status of ours; what the handler still had goes with it.
    fn end(&mut self, status: &Status) -> Frame<Bytes> {
        self.body = Body::empty();
        self.finish(status.code());
        let mut trailers = HeaderMap::new();
        rewrite::write(status, &mut trailers);
        Frame::trailers(trailers)
    }
}

impl ReplyBody for Reply {
    fn is_whole(&self) -> bool {
        let shape = self.call.as_ref().map(|call| call.method().shape);
        shape == Some(Shape::Unary)
    }
}

impl http_body::Body for Reply {
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
                    let code = rewrite::settle(trailers, &call.method().path);
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
                let ending = this.ending.as_mut().map(|ending| ending.as_mut().poll(cx));
                match ending {
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
