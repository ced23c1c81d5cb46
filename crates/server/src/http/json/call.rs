//! One call of the services, in this process, by bytes.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service as _;

use crate::layers::{Rpc, faults};

/// Headers that mean the same to a method as metadata; the rest is between client and port.
const PASSED: [&str; 5] = [
    "authorization",
    "grpc-timeout",
    "traceparent",
    "tracestate",
    "x-request-id",
];
const OURS: &str = "x-parlance-";

/// What gRPC itself says by headers and trailers, and what is said of the body, which is another one here.
const RESERVED: [&str; 8] = [
    "content-type",
    "content-length",
    "transfer-encoding",
    "trailer",
    "grpc-status",
    "grpc-message",
    "grpc-encoding",
    "grpc-accept-encoding",
];

/// A flag, and a length of four bytes.
const FRAME_HEAD_BYTES: usize = 5;

/// What came back.
pub(super) struct Reply {
    pub(super) outcome: Result<Bytes, Status>,
    pub(super) metadata: HeaderMap,
}

/// The metadata of a call, from the headers of its request.
pub(super) fn metadata(headers: &HeaderMap) -> HeaderMap {
    let passed = headers.iter().filter(|(name, _)| {
        let name = name.as_str();
        PASSED.contains(&name) || name.starts_with(OURS)
    });
    let mut metadata: HeaderMap = passed
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    metadata.insert(header::CONTENT_TYPE, tonic::metadata::GRPC_CONTENT_TYPE);
    metadata.insert(header::TE, HeaderValue::from_static("trailers"));
    metadata
}

/// Asks and waits.
pub(super) async fn unary(
    mut rpc: Rpc<Routes>,
    uri: Uri,
    metadata: HeaderMap,
    message: &[u8],
) -> Reply {
    let Some(framed) = framed(message) else {
        return Reply::of(Err(faults::too_large("the request is larger than 4 GiB")));
    };
    let body = Full::new(framed).map_err(|never| match never {});
    let mut request = Request::new(Body::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = metadata;
    let (head, body) = match rpc.call(request).await {
        Ok(response) => response.into_parts(),
        Err(never) => match never {},
    };
    match body.collect().await {
        Ok(all) => {
            let trailers = all.trailers().cloned().unwrap_or_default();
            let status = Status::from_header_map(&trailers)
                .or_else(|| Status::from_header_map(&head.headers));
            Reply {
                outcome: outcome(status, all.to_bytes()),
                metadata: shown(head.headers, trailers),
            }
        }
        Err(status) => Reply::of(Err(status)),
    }
}

impl Reply {
    fn of(outcome: Result<Bytes, Status>) -> Self {
        let metadata = HeaderMap::new();
        Self { outcome, metadata }
    }
}

fn framed(message: &[u8]) -> Option<Bytes> {
    let length = u32::try_from(message.len()).ok()?;
    let mut frame = BytesMut::with_capacity(FRAME_HEAD_BYTES + message.len());
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_slice(message);
    Some(frame.freeze())
}

/// One message and a good end, or why not.
fn outcome(status: Option<Status>, mut body: Bytes) -> Result<Bytes, Status> {
    match status {
        Some(status) if status.code() == Code::Ok => {}
        Some(status) => return Err(status),
        None => return Err(faults::internal()),
    }
    if body.len() < FRAME_HEAD_BYTES {
        return Err(faults::internal());
    }
    Ok(body.split_off(FRAME_HEAD_BYTES))
}

/// Headers and trailers as headers of an answer that has no trailers. What stands in both is the same thing said twice.
fn shown(mut headers: HeaderMap, trailers: HeaderMap) -> HeaderMap {
    for name in trailers.keys() {
        headers.remove(name);
    }
    let mut last: Option<HeaderName> = None;
    for (name, value) in trailers {
        // A name comes with its first value alone.
        if let Some(name) = name.or(last) {
            headers.append(&name, value);
            last = Some(name);
        } else {
            last = None;
        }
    }
    for name in RESERVED {
        headers.remove(name);
    }
    headers.remove(Status::GRPC_STATUS_DETAILS);
    headers
}
