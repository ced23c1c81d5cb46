//! Replies that are encoded already. The in-process cache stores values as encoded messages, so that a reply from memory costs little
//! more than an empty one: the handler leaves the bytes in the extensions of an empty reply, and this module replaces the empty
//! message by them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use flate2::Compression;
use flate2::bufread::GzEncoder;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;

/// Encoded message of a reply, as an extension of the response.
#[derive(Debug, Clone)]
pub(super) struct Encoded(pub(super) Bytes);

/// Replaces the empty message of the response by the encoded one, if there is one.
pub(super) fn apply(mut response: Response<Body>) -> Response<Body> {
    let Some(Encoded(message)) = response.extensions_mut().remove() else {
        return response;
    };
    // The encoding that tonic has chosen for the client.
    let gzip = response
        .headers()
        .get(ENCODING)
        .is_some_and(|e| e == "gzip");
    let body = EncodedBody {
        frame: Some(frame(&message, gzip)),
        ended: false,
    };
    response.map(|_| Body::new(body))
}

const ENCODING: &str = "grpc-encoding";
/// Head of a gRPC message: a flag, and a length of four bytes.
const HEAD_BYTES: usize = 5;
/// Compression level of tonic, so that a reply has the same bytes from the cache and from the database.
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

/// Compresses the message into the frame. Returns whether this succeeded; otherwise the message is sent uncompressed.
fn zip(message: &[u8], frame: &mut BytesMut) -> bool {
    std::io::copy(&mut GzEncoder::new(message, LEVEL), &mut frame.writer()).is_ok()
}

/// Body of one message and the status OK. It has no length: gRPC-Web appends the trailers to the message in the same body, and with
/// a length a client would stop reading before them.
struct EncodedBody {
    frame: Option<Bytes>,
    ended: bool,
}

impl http_body::Body for EncodedBody {
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
