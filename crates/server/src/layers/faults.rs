//! What the layers themselves answer.

use std::collections::HashMap;
use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::cause;

/// Whose reasons these are.
pub(crate) const DOMAIN: &str = "parlance";
/// When to try again, for the retry logic of gRPC clients, in milliseconds.
pub(crate) const PUSHBACK: &str = "grpc-retry-pushback-ms";
const RETRY_AFTER_MILLIS: u64 = 500;
/// Where nothing better is known: another instance answers at once, and a busy one has done a part of its work.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(RETRY_AFTER_MILLIS);

/// A refusal with its reason.
pub(crate) fn fault(code: Code, reason: &'static str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, details(reason))
}

fn details(reason: &'static str) -> ErrorDetails {
    cause::note(reason);
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

/// A refusal that may be another answer next time, and when to ask again.
pub(crate) fn passing(code: Code, reason: &'static str, message: impl Into<String>) -> Status {
    let mut details = details(reason);
    details.set_retry_info(Some(RETRY_AFTER));
    let mut metadata = MetadataMap::new();
    metadata.insert(PUSHBACK, RETRY_AFTER_MILLIS.into());
    Status::with_error_details_and_metadata(code, message, details, metadata)
}

pub(super) fn deadline_exceeded() -> Status {
    passing(
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the deadline passed before the call was done",
    )
}

pub(crate) fn too_slow() -> Status {
    passing(
        Code::DeadlineExceeded,
        "REQUEST_TOO_SLOW",
        "the body of the request did not arrive in time; send it faster",
    )
}

pub(crate) fn overloaded() -> Status {
    passing(
        Code::Unavailable,
        "OVERLOADED",
        "requests that arrive at this moment use all of MAX_BUFFERED_BYTES; try again, or send a large request faster",
    )
}

pub(crate) fn no_connection_left() -> Status {
    passing(
        Code::Unavailable,
        "OVERLOADED",
        "MAX_CONNECTIONS connections are open, and this one is for health and metrics; try again",
    )
}

pub(super) fn malformed_timeout() -> Status {
    malformed("grpc-timeout must be up to 8 digits and one of the units H, M, S, m, u, n")
}

pub(crate) fn malformed(why: &str) -> Status {
    fault(Code::InvalidArgument, "MALFORMED_REQUEST", why)
}

pub(crate) fn too_large(why: &str) -> Status {
    fault(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", why)
}

pub(crate) fn internal() -> Status {
    fault(Code::Internal, "INTERNAL", "internal error")
}

pub(crate) fn unknown_method(path: &str) -> Status {
    fault(
        Code::Unimplemented,
        "UNKNOWN_METHOD",
        format!("there is no method {path}"),
    )
}

pub(crate) fn going_away() -> Status {
    passing(
        Code::Unavailable,
        "SHUTTING_DOWN",
        "this instance is going away; connect again and resume",
    )
}
