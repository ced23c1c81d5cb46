//! What the service refused, in lines for people.

use std::error::Error as StdError;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What was wrong; why, in the word for programs; every wrong field.
pub(crate) fn text(status: &Status) -> String {
    let details = status.get_error_details();
    let violations = details
        .bad_request()
        .map_or(&[][..], |wrong| &wrong.field_violations);
    let mut lines = vec![headline(status, violations.is_empty())];
    if let Some(info) = details.error_info() {
        lines.push(format!("  reason: {}", info.reason));
        let mut about: Vec<_> = info.metadata.iter().collect();
        about.sort();
        lines.extend(about.iter().map(|(key, value)| format!("  {key}: {value}")));
    }
    lines.extend(
        violations
            .iter()
            .map(|wrong| format!("  {}: {}", wrong.field, wrong.description)),
    );
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        lines.push(format!("  try again in {} s", delay.as_secs_f32()));
    }
    lines.join("\n")
}

/// The message of a request with wrong fields only names these once more.
fn headline(status: &Status, whole: bool) -> String {
    match (cause(status), status.message()) {
        (Some(cause), _) => {
            format!("the connection broke: {cause}; is --server the gRPC address of a service?")
        }
        (None, _) if !whole => "the request is wrong".to_owned(),
        (None, "") => status.code().description().to_owned(),
        (None, message) => message.to_owned(),
    }
}

/// In a few words.
pub(super) fn brief(status: &Status) -> String {
    cause(status).unwrap_or_else(|| status.message().to_owned())
}

/// Of an error that was made on this side of the connection.
fn cause(status: &Status) -> Option<String> {
    let mut cause = status.source()?;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Some(cause.to_string())
}

/// Whether the same watch, begun once more, may go on. What the service says of the request itself holds again.
pub(super) fn may_pass(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable
        | Code::Unknown
        | Code::Internal
        | Code::Cancelled
        | Code::Aborted
        | Code::DeadlineExceeded
        | Code::ResourceExhausted => true,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::DataLoss
        | Code::Unauthenticated => false,
    }
}

/// Where a watch may go on that the service has ended.
pub(super) fn cursor(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    info.metadata.get("cursor").cloned()
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn every_wrong_field_has_a_line() {
        let mut details = ErrorDetails::with_error_info("INVALID_REQUEST", "parlance", []);
        details.add_bad_request_violation("from_address", "not a number");
        details.add_bad_request_violation("to_address", "missing");
        let message = "from_address: not a number; to_address: missing";
        let status = Status::with_error_details(Code::InvalidArgument, message, details);
        let expected = "the request is wrong\n  reason: INVALID_REQUEST\n  \
                        from_address: not a number\n  to_address: missing";
        assert_eq!(text(&status), expected);
    }

    #[test]
    fn what_a_program_may_want_to_know_is_told() {
        let about = [("message_id".to_owned(), "7".to_owned())];
        let details = ErrorDetails::with_error_info("RECIPIENT_OPTED_OUT", "parlance", about);
        let status = Status::with_error_details(Code::FailedPrecondition, "has opted out", details);
        assert_eq!(
            text(&status),
            "has opted out\n  reason: RECIPIENT_OPTED_OUT\n  message_id: 7"
        );
        assert_eq!(
            text(&Status::unimplemented("no such method")),
            "no such method"
        );
    }
}
