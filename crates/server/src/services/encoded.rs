//! Messages that are encoded already. What this process keeps, it keeps as clients are told it, so that an answer from memory
//! costs little more than an empty one: the handler leaves the bytes beside an empty reply, and here they take its place.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::bufread::GzEncoder;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

/// The message of a reply, as an extension of the response.
#[derive(Debug, Clone)]
pub(super) struct Encoded(pub(super) Bytes);

/// Puts it in the place of the empty one.
pub(super) fn put(mut response: Response<Body>) -> Response<Body> {
    let Some(Encoded(message)) = response.extensions_mut().remove() else {
        return response;
    };
    // What tonic has agreed on with the client.
    let gzip = response
        .headers()
        .get(ENCODING)
        .is_some_and(|e| e == "gzip");
    let ready = Ready {
        frame: Some(frame(&message, gzip)),
        ended: false,
    };
    response.map(|_| Body::new(ready))
}

const ENCODING: &str = "grpc-encoding";
/// A flag, and a length of four bytes.
const HEAD_BYTES: usize = 5;
/// That of tonic, so that an answer is the same wherever it comes from.
const LEVEL: Compression = Compression::new(6);

fn frame(message: &[u8], gzip: bool) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD_BYTES + message.len());
    frame.put_bytes(0, HEAD_BYTES);
    let zipped = gzip && zip(message, &mut frame);
    if !zipped {
        frame.truncate(HEAD_BYTES);
        frame.put_slice(message);
    }
    let length = u32::try_from(frame.len() - HEAD_BYTES).unwrap_or(u32::MAX);
    frame[0] = u8::from(zipped);
    frame[1..HEAD_BYTES].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

/// Whether it is there; memory does not fail, but if it did, the message would go as it is.
fn zip(message: &[u8], frame: &mut BytesMut) -> bool {
    std::io::copy(&mut GzEncoder::new(message, LEVEL), &mut frame.writer()).is_ok()
}

/// One message and a good end. It does not say how long it is: gRPC-Web has the end of a call behind the message as more bytes of
/// the same body, and who was told a length would stop before them.
struct Ready {
    frame: Option<Bytes>,
    ended: bool,
}

impl http_body::Body for Ready {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(frame) = self.frame.take() {
            return Poll::Ready(Some(Ok(Frame::data(frame))));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
