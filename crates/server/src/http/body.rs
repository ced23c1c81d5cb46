//! Reading of request bodies, limited in size and time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt as _;
use parlance_transport::layers::{RequestBytes, faults};
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use crate::body_limits::Limits;

/// Bytes that are read and discarded from a body that is too large: many clients read the response only after they have
/// sent the whole request.
const MAX_DISCARDED_BYTES: usize = 16 * 1024 * 1024;
const MAX_DISCARD_TIME: Duration = Duration::from_secs(2);

/// Reads the whole body. `remedy` says what a client can do about one that is too large.
pub(crate) async fn read(
    mut body: Body,
    headers: &HeaderMap,
    limits: Limits,
    request_bytes: &RequestBytes,
    remedy: &str,
) -> Result<Bytes, Status> {
    // Checked before the first byte is read: a client that waits for "100 Continue" then sends nothing.
    if announced(headers).is_some_and(|length| length > limits.bytes) {
        discard(body).await;
        return Err(too_large(limits, remedy));
    }
    let last = Instant::now() + limits.whole;
    let mut read = BytesMut::new();
    loop {
        let next = last.min(Instant::now() + limits.pause);
        let frame = match request_bytes
            .while_blocked(timeout_at(next, body.frame()))
            .await?
        {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                return Err(faults::malformed("the body ended before it was complete"));
            }
            Ok(None) => return Ok(read.freeze()),
            Err(_) => return Err(faults::too_slow()),
        };
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if read.len() + piece.len() > limits.bytes {
            discard(body).await;
            return Err(too_large(limits, remedy));
        }
        request_bytes
            .while_blocked(request_bytes.grow(piece.len()))
            .await??;
        read.extend_from_slice(&piece);
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(header::CONTENT_LENGTH).map(HeaderValue::to_str);
    length?.ok()?.parse().ok()
}

async fn discard(mut body: Body) {
    let end = Instant::now() + MAX_DISCARD_TIME;
    let mut bytes = 0;
    while bytes < MAX_DISCARDED_BYTES {
        match timeout_at(end, body.frame()).await {
            Ok(Some(Ok(frame))) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Ok(Some(Err(_)) | None) | Err(_) => return,
        }
    }
}

fn too_large(limits: Limits, remedy: &str) -> Status {
    let most = limits.bytes;
    faults::too_large(&format!("the body is larger than {most} bytes; {remedy}"))
}
