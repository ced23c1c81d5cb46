//! What the layers themselves answer.

use std::collections::HashMap;
use std::time::Duration;

use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Whose reasons these are.
pub(crate) const DOMAIN: &str = "parlance";
/// A client of an instance that goes away finds another at once, or this one again after its restart.
const RETRY_AFTER_MILLIS: u64 = 500;
const RETRY_AFTER: Duration = Duration::from_millis(RETRY_AFTER_MILLIS);

/// A refusal with its reason.
pub(crate) fn fault(code: Code, reason: &str, message: impl Into<String>) -> Status {
    Status::with_error_details(code, message, details(reason))
}

fn details(reason: &str) -> ErrorDetails {
    ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new())
}

pub(super) fn deadline_exceeded() -> Status {
    fault(
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        "the deadline passed before the call was done",
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
    let mut details = details("SHUTTING_DOWN");
    details.set_retry_info(Some(RETRY_AFTER));
    let mut metadata = MetadataMap::new();
    metadata.insert("grpc-retry-pushback-ms", RETRY_AFTER_MILLIS.into());
    Status::with_error_details_and_metadata(
        Code::Unavailable,
        "this instance is going away; connect again and resume",
        details,
        metadata,
    )
}
