//! Text of an error status.

use std::error::Error as StdError;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Full text of an error: message, reason, metadata, and all invalid fields.
pub(crate) fn text(status: &Status) -> String {
    let details = status.get_error_details();
    let violations = details
        .bad_request()
        .map_or(&[][..], |request| &request.field_violations);
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
            .map(|violation| format!("  {}: {}", violation.field, violation.description)),
    );
    if let Some(delay) = details.retry_info().and_then(|retry| retry.retry_delay) {
        lines.push(format!("  try again in {} s", delay.as_secs_f32()));
    }
    lines.join("\n")
}

/// First line of the text. The message of an invalid request only repeats its fields, so it is replaced.
fn headline(status: &Status, show_message: bool) -> String {
    match (cause(status), status.message()) {
        (Some(cause), _) => {
            format!(
                "the connection failed: {cause}; check that --server is the gRPC address of the service"
            )
        }
        (None, _) if !show_message => "the request is invalid".to_owned(),
        (None, "") => status.code().description().to_owned(),
        (None, message) => message.to_owned(),
    }
}

/// Short text of an error.
pub(crate) fn brief(status: &Status) -> String {
    cause(status).unwrap_or_else(|| status.message().to_owned())
}

/// Root cause of an error that arose on the client side.
fn cause(status: &Status) -> Option<String> {
    let mut cause = status.source()?;
    while let Some(next) = cause.source() {
        cause = next;
    }
    Some(cause.to_string())
}

/// Whether a watch may succeed when it is started again. An error about the request itself would repeat.
pub(crate) fn is_transient(status: &Status) -> bool {
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

/// Cursor at which to resume a watch that the service has ended.
pub(crate) fn cursor(status: &Status) -> Option<String> {
    let info = status.get_details_error_info()?;
    info.metadata.get("cursor").cloned()
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn every_invalid_field_has_a_line() {
        let mut details = ErrorDetails::with_error_info("INVALID_REQUEST", "parlance", []);
        details.add_bad_request_violation("from_address", "not a number");
        details.add_bad_request_violation("to_address", "missing");
        let message = "from_address: not a number; to_address: missing";
        let status = Status::with_error_details(Code::InvalidArgument, message, details);
        let expected = "the request is invalid\n  reason: INVALID_REQUEST\n  \
                        from_address: not a number\n  to_address: missing";
        assert_eq!(text(&status), expected);
    }

    #[test]
    fn reason_and_metadata_are_shown() {
        let about = [("message_id".to_owned(), "7".to_owned())];
        let details = ErrorDetails::with_error_info("MESSAGE_NOT_FOUND", "parlance", about);
        let status = Status::with_error_details(Code::NotFound, "no such message", details);
        assert_eq!(
            text(&status),
            "no such message\n  reason: MESSAGE_NOT_FOUND\n  message_id: 7"
        );
        assert_eq!(
            text(&Status::unimplemented("no such method")),
            "no such method"
        );
    }
}
