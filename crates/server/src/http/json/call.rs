//! In-process call of a gRPC method, with encoded messages.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full};
use parlance_transport::layers::{Rpc, faults};
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service as _;

/// Headers that are forwarded to the method as metadata; the others concern the HTTP connection only.
const FORWARDED: [&str; 5] = [
    "authorization",
    "grpc-timeout",
    "traceparent",
    "tracestate",
    "x-request-id",
];
const OWN_PREFIX: &str = "x-parlance-";

/// Headers that are not copied into the response: those of gRPC itself, and those that describe the gRPC body.
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

/// A flag and a length of four bytes.
const FRAME_HEAD_BYTES: usize = 5;

/// Reply of a method.
pub(super) struct Reply {
    pub(super) outcome: Result<Bytes, Status>,
    pub(super) metadata: HeaderMap,
}

/// Returns the metadata of a call, from the headers of its request.
pub(super) fn metadata(headers: &HeaderMap) -> HeaderMap {
    let forwarded = headers.iter().filter(|(name, _)| {
        let name = name.as_str();
        FORWARDED.contains(&name) || name.starts_with(OWN_PREFIX)
    });
    let mut metadata: HeaderMap = forwarded
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    metadata.insert(header::CONTENT_TYPE, tonic::metadata::GRPC_CONTENT_TYPE);
    metadata.insert(header::TE, HeaderValue::from_static("trailers"));
    metadata
}

/// Calls the method and returns its reply.
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
                metadata: merged(head.headers, trailers),
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

/// Returns the message of a successful call, or the error.
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

/// Merges headers and trailers into the headers of a response without trailers. A name that occurs in both has the same
/// value in both.
fn merged(mut headers: HeaderMap, trailers: HeaderMap) -> HeaderMap {
    for name in trailers.keys() {
        headers.remove(name);
    }
    let mut last: Option<HeaderName> = None;
    for (name, value) in trailers {
        // The iterator returns a name with its first value only.
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
