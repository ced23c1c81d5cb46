//! Request body with two limits: its bytes are taken from the [`Budget`](super::Budget), and a unary request must not pause.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tonic::{Code, Status};

use super::budget::RequestBytes;
use super::faults;
use crate::listen::BoxError;

/// Maximum pause of a client within a unary request.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// Head of a gRPC message: a flag, and a length of four bytes.
const HEAD_BYTES: usize = 5;

/// Request body that reads no more than the budget has room for.
pub(super) struct Metered<B> {
    body: B,
    request_bytes: Arc<RequestBytes>,
    /// A frame that waits for room.
    waiting: Option<WaitingFrame>,
    kind: BodyKind,
}

type WaitingFrame = (Frame<Bytes>, BoxFuture<'static, Result<(), Status>>);

/// Limits by the kind of the method.
enum BodyKind {
    /// One message; its bytes are returned when the call is done.
    Unary { pause: Option<Pin<Box<Sleep>>> },
    /// A stream of messages. The bytes of each are returned when the next one is read; the client may pause.
    Stream(UnfinishedMessage),
}

impl<B> Metered<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    pub(super) fn new(body: B, request_bytes: Arc<RequestBytes>, streams: bool) -> Self {
        let kind = if streams {
            BodyKind::Stream(UnfinishedMessage::default())
        } else {
            BodyKind::Unary { pause: None }
        };
        Self {
            body,
            request_bytes,
            waiting: None,
            kind,
        }
    }

    fn poll_within_budget(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.waiting.is_none() {
            if let BodyKind::Stream(unfinished) = &self.kind {
                // The reader has taken all messages that were complete.
                self.request_bytes.shrink(unfinished.bytes);
            }
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(broken(error.into())))),
                None => return Poll::Ready(None),
            };
            let bytes = frame.data_ref();
            if let (Some(bytes), BodyKind::Stream(unfinished)) = (bytes, &mut self.kind) {
                unfinished.read(bytes);
            }
            let bytes = bytes.map_or(0, Bytes::len);
            if self.request_bytes.try_grow(bytes) {
                return Poll::Ready(Some(Ok(frame)));
            }
            let request_bytes = Arc::clone(&self.request_bytes);
            let growing = Box::pin(async move { request_bytes.grow(bytes).await });
            self.waiting = Some((frame, growing));
        }
        let Some((_, growing)) = &mut self.waiting else {
            return Poll::Pending;
        };
        let grown = ready!(growing.as_mut().poll(cx));
        let frame = self.waiting.take().map(|(frame, _)| frame);
        Poll::Ready(frame.map(|frame| grown.map(|()| frame)))
    }

    /// Whether the client has paused for too long.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.kind {
            // While a frame waits for room it is not the client that pauses.
            BodyKind::Unary { pause } if self.waiting.is_none() => pause
                .get_or_insert_with(|| Box::pin(sleep(LONGEST_PAUSE)))
                .as_mut()
                .poll(cx),
            BodyKind::Unary { .. } | BodyKind::Stream(_) => Poll::Pending,
        }
    }
}

/// Returns the status of a request that cannot be read to its end. A broken connection is not a failure of the service. The code
/// is not CANCELLED, which tonic takes for the end of the request.
fn broken(error: BoxError) -> Status {
    let status = Status::from_error(error);
    if status.code() == Code::Unknown {
        return Status::aborted("the connection ended before the request did");
    }
    status
}

impl<B> http_body::Body for Metered<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let polled = this.poll_within_budget(cx);
        match this.request_bytes.watch(cx, polled) {
            Poll::Ready(result) => {
                if let BodyKind::Unary { pause } = &mut this.kind {
                    *pause = None;
                }
                Poll::Ready(result.unwrap_or_else(|status| Some(Err(status))))
            }
            Poll::Pending => this.poll_pause(cx).map(|()| Some(Err(faults::too_slow()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.waiting.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.waiting {
            None => self.body.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

/// Number of bytes read of the last, incomplete message of a stream.
#[derive(Debug, Default)]
struct UnfinishedMessage {
    bytes: usize,
    head: [u8; HEAD_BYTES],
}

impl UnfinishedMessage {
    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = if self.bytes < HEAD_BYTES {
                let free = self.head.iter_mut().skip(self.bytes);
                free.zip(bytes).map(|(to, from)| *to = *from).count()
            } else {
                (self.whole() - self.bytes).min(bytes.len())
            };
            self.bytes += taken;
            bytes = bytes.get(taken..).unwrap_or_default();
            if self.bytes >= HEAD_BYTES && self.bytes == self.whole() {
                self.bytes = 0;
            }
        }
    }

    fn whole(&self) -> usize {
        let [_, length @ ..] = self.head;
        HEAD_BYTES + u32::from_be_bytes(length) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unfinished_message_counts() {
        let stream = [&[0, 0, 0, 0, 3, 1, 2, 3][..], &[0; 5], &[0, 0, 0, 1, 0, 9]].concat();
        for size in 1..=stream.len() {
            let mut unfinished = UnfinishedMessage::default();
            for piece in stream.chunks(size) {
                unfinished.read(piece);
            }
            assert_eq!(unfinished.bytes, 6, "{size}");
        }
        let mut unfinished = UnfinishedMessage::default();
        unfinished.read(&stream[..13]);
        assert_eq!(unfinished.bytes, 0);
    }
}
