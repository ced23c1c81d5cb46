//! Statuses that the layers themselves return.

use std::collections::HashMap;
use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::cause;

/// Domain of the reasons in `ErrorInfo`.
pub const DOMAIN: &str = "parlance";
/// Header with the retry delay in milliseconds, for the retry logic of gRPC clients.
pub const PUSHBACK: &str = "grpc-retry-pushback-ms";
const RETRY_AFTER_MILLIS: u64 = 500;
/// Default retry delay: another instance answers at once, and a busy one has done a part of its work by then.
pub const RETRY_AFTER: Duration = Duration::from_millis(RETRY_AFTER_MILLIS);

/// Makes a status with a reason.
pub fn fault(code: Code, reason: &'static str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, details(reason))
}

fn details(reason: &'static str) -> ErrorDetails {
    cause::note(reason);
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

/// Makes a status of a temporary error, with the default retry delay.
pub(super) fn retryable(code: Code, reason: &'static str, message: impl Into<String>) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(RETRY_AFTER));
    let mut metadata = MetadataMap::new();
    metadata.insert(PUSHBACK, RETRY_AFTER_MILLIS.into());
    Status::with_error_details_and_metadata(code, message, details, metadata)
}

pub(super) fn deadline_exceeded() -> Status {
    retryable(
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the deadline passed before the call was done",
    )
}

/// Returns the status of a request with a body that does not arrive in time.
pub fn too_slow() -> Status {
    retryable(
        Code::DeadlineExceeded,
        "REQUEST_TOO_SLOW",
        "the body of the request did not arrive in time; send it faster",
    )
}

pub(super) fn overloaded() -> Status {
    retryable(
        Code::Unavailable,
        "OVERLOADED",
        "incoming requests use all of MAX_BUFFERED_BYTES; retry, or send large requests faster",
    )
}

/// Returns the status of a call on a connection beyond `MAX_CONNECTIONS`.
pub fn no_connection_left() -> Status {
    retryable(
        Code::Unavailable,
        "OVERLOADED",
        "MAX_CONNECTIONS connections are open, and this one serves only health and metrics; retry",
    )
}

pub(super) fn malformed_timeout() -> Status {
    malformed("grpc-timeout must be up to 8 digits and one of the units H, M, S, m, u, n")
}

/// Makes the status of a request that cannot be read.
pub fn malformed(message: &str) -> Status {
    fault(Code::InvalidArgument, "MALFORMED_REQUEST", message)
}

/// Makes the status of a request or reply that exceeds its maximum size.
pub fn too_large(message: &str) -> Status {
    fault(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message)
}

/// Returns the status of a defect of the service.
pub fn internal() -> Status {
    fault(Code::Internal, "INTERNAL", "internal error")
}

/// Makes the status of a call of a method that is not served.
pub fn unknown_method(path: &str) -> Status {
    fault(
        Code::Unimplemented,
        "UNKNOWN_METHOD",
        format!("unknown method {path}"),
    )
}

/// Returns the status of a call that the shutdown refuses or ends.
pub fn going_away() -> Status {
    retryable(
        Code::Unavailable,
        "SHUTTING_DOWN",
        "this instance is shutting down; reconnect and resume",
    )
}
