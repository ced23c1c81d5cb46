//! The body of a request: not too large, and not too slow.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use crate::layers::{RequestBytes, faults};

/// Beside the message's own bytes: names and punctuation.
const SLACK_BYTES: usize = 64 * 1024;
/// A client that sends too much reads the answer only when it may finish sending: so much more is read and thrown away.
const MOST_DISCARDED_BYTES: usize = 16 * 1024 * 1024;
const LONGEST_DISCARDING: Duration = Duration::from_secs(2);

/// How much and how long.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of the whole body.
    pub bytes: usize,
    /// Between two pieces of it.
    pub pause: Duration,
    /// From its first byte to its last.
    pub whole: Duration,
}

impl Limits {
    /// For requests that are so large as messages: files grow by a third in JSON.
    pub const fn of(max_request_bytes: usize) -> Self {
        Self {
            bytes: max_request_bytes.saturating_mul(4) / 3 + SLACK_BYTES,
            pause: Duration::from_secs(10),
            whole: Duration::from_mins(1),
        }
    }
}

/// All of it.
pub(super) async fn read(
    mut body: Body,
    headers: &HeaderMap,
    limits: Limits,
    request_bytes: &RequestBytes,
) -> Result<Bytes, Status> {
    // Before a byte of it comes: a client that waits for "100 Continue" need not send any.
    if announced(headers).is_some_and(|length| length > limits.bytes) {
        discard(body).await;
        return Err(too_large(limits));
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
            Ok(Some(Err(_))) => return Err(faults::malformed("the body ended early")),
            Ok(None) => return Ok(read.freeze()),
            Err(_) => return Err(faults::too_slow()),
        };
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if read.len() + piece.len() > limits.bytes {
            discard(body).await;
            return Err(too_large(limits));
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
    let end = Instant::now() + LONGEST_DISCARDING;
    let mut bytes = 0;
    while bytes < MOST_DISCARDED_BYTES {
        match timeout_at(end, body.frame()).await {
            Ok(Some(Ok(frame))) => bytes += frame.data_ref().map_or(0, Bytes::len),
            Ok(Some(Err(_)) | None) | Err(_) => return,
        }
    }
}

fn too_large(limits: Limits) -> Status {
    let most = limits.bytes;
    faults::too_large(&format!(
        "the body is larger than {most} bytes; upload large files by UploadAttachment first"
    ))
}
