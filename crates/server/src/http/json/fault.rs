//! Conversion of a status to an HTTP response.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use parlance_transport::layers::faults;
use serde::Serialize;
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::details;

/// `google.rpc.Status`, with the name of the code in addition to its number.
#[derive(Serialize)]
struct ErrorBody<'a> {
    code: i32,
    status: &'static str,
    message: &'a str,
    details: Vec<Value>,
}

/// Returns a JSON response.
pub(super) fn json(json: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(json));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Returns the response for an error.
pub(super) fn response(status: &Status) -> Response {
    let body = ErrorBody {
        code: status.code() as i32,
        status: name(status.code()),
        message: status.message(),
        details: details::of(status),
    };
    // Numbers, names and texts: serialization cannot fail.
    let mut body = serde_json::to_vec(&body).unwrap_or_default();
    body.push(b'\n');
    let mut response = json(body);
    *response.status_mut() = http_status(status);
    let headers = response.headers_mut();
    if let Some(delay) = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay)
    {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(delay)));
    }
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// Error of a method that is not called with POST. Only POST is allowed, because following a link must not change
/// anything.
pub(super) fn method_not_allowed(method: &Method) -> Status {
    let message = format!("{method} is not allowed here; call the method with POST");
    faults::fault(Code::Unimplemented, "METHOD_NOT_ALLOWED", message)
}

/// Chooses the HTTP status by the reason if HTTP has a specific one, else by the table of `google.rpc.Code`.
fn http_status(status: &Status) -> StatusCode {
    let info = status.get_details_error_info();
    match info.as_ref().map_or("", |info| info.reason.as_str()) {
        "UNKNOWN_METHOD" => StatusCode::NOT_FOUND,
        "METHOD_NOT_ALLOWED" => StatusCode::METHOD_NOT_ALLOWED,
        "UNSUPPORTED_MEDIA_TYPE" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "REQUEST_TOO_SLOW" => StatusCode::REQUEST_TIMEOUT,
        // Not 429, which suggests a retry of the same request.
        "MESSAGE_TOO_LARGE" => StatusCode::PAYLOAD_TOO_LARGE,
        _ => by_code(status.code()).0,
    }
}

fn name(code: Code) -> &'static str {
    by_code(code).1
}

fn by_code(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::Ok => (StatusCode::OK, "OK"),
        // The client has disconnected: 499 is nginx's status for it, which has no name.
        Code::Cancelled => (
            StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            "CANCELLED",
        ),
        Code::Unknown => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
        Code::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
        Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
        Code::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        Code::AlreadyExists => (StatusCode::CONFLICT, "ALREADY_EXISTS"),
        Code::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
        Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED"),
        Code::FailedPrecondition => (StatusCode::BAD_REQUEST, "FAILED_PRECONDITION"),
        Code::Aborted => (StatusCode::CONFLICT, "ABORTED"),
        Code::OutOfRange => (StatusCode::BAD_REQUEST, "OUT_OF_RANGE"),
        Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "UNIMPLEMENTED"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
        Code::DataLoss => (StatusCode::INTERNAL_SERVER_ERROR, "DATA_LOSS"),
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
    }
}

/// Rounds up to whole seconds, the unit of `Retry-After`: a retry must not come too early.
fn whole_seconds(delay: Duration) -> u64 {
    let more = u64::from(delay.subsec_nanos() > 0);
    (delay.as_secs() + more).max(1)
}
