//! Replaces statuses that tonic makes itself, before or after a handler, by those of the service.
//!
//! Only a status without details can be one of tonic's: every status of a handler has an `ErrorInfo`.

use http::{HeaderMap, HeaderValue};
use tonic::{Code, Status};

use super::faults;

/// Replaces a status of tonic in these headers or trailers, and returns the code that they end the call with. `None` if they have
/// no status.
pub(super) fn normalize(headers: &mut HeaderMap, path: &str) -> Option<Code> {
    let status = headers.get(Status::GRPC_STATUS)?;
    if status.as_bytes() == b"0" {
        return Some(Code::Ok);
    }
    let code = Code::from_bytes(status.as_bytes());
    if headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        return Some(code);
    }
    let replacement = Status::from_header_map(headers)
        .and_then(|status| replacement(code, status.message(), path));
    let Some(replacement) = replacement else {
        return Some(code);
    };
    write(&replacement, headers);
    Some(replacement.code())
}

/// Writes a status to the headers, in place of another one if there is one.
pub(super) fn write(status: &Status, headers: &mut HeaderMap) {
    headers.remove(Status::GRPC_MESSAGE);
    headers.remove(Status::GRPC_STATUS_DETAILS);
    if status.add_header(headers).is_err() {
        // No header can contain this message, so only the code is sent.
        headers.insert(Status::GRPC_STATUS, HeaderValue::from(status.code() as i32));
    }
}

/// The compared texts are those of tonic and tonic-prost; a test covers them, so that an update that changes them is noticed.
fn replacement(code: Code, message: &str, path: &str) -> Option<Status> {
    // Two arms are enough here, and a list of all other codes would say nothing.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "tonic's enum; all other codes stay as they are"
    )]
    match code {
        Code::OutOfRange if message.contains("decoded message length too large") => {
            Some(request_too_large(message))
        }
        Code::OutOfRange if message.contains("encoded message length too large") => Some(
            faults::too_large("the reply is larger than a message may be; request less at once"),
        ),
        Code::ResourceExhausted if message.starts_with("Error decompressing: size limit") => {
            Some(request_too_large(message))
        }
        Code::Internal if is_about_a_bad_request(message) => Some(faults::malformed(
            "the request is not a valid message of this method",
        )),
        Code::Unimplemented if message.is_empty() => Some(faults::unknown_method(path)),
        // Statuses of the transport have neither a reason nor a retry delay.
        Code::Unavailable => Some(faults::retryable(code, "UNAVAILABLE", message)),
        Code::Cancelled => Some(faults::retryable(code, "CANCELLED", message)),
        Code::DeadlineExceeded => Some(faults::deadline_exceeded()),
        _ => None,
    }
}

fn request_too_large(message: &str) -> Status {
    let size = limit(message).map_or_else(String::new, |bytes| format!(" ({bytes} bytes)"));
    faults::too_large(&format!(
        "the request is larger than MAX_REQUEST_BYTES{size}; send files with UploadAttachment first"
    ))
}

/// Returns the limit that the text names.
fn limit(message: &str) -> Option<&str> {
    let (_, after) = message.rsplit_once("limit")?;
    let mut numbers = after.split(|c: char| !c.is_ascii_digit());
    numbers.find(|number| !number.is_empty())
}

fn is_about_a_bad_request(message: &str) -> bool {
    const BEGINNINGS: [&str; 6] = [
        "failed to decode Protobuf message",
        "Missing request message",
        "Unexpected EOF decoding stream",
        "protocol error: received message with",
        "Error decompressing",
        "invalid compression flag",
    ];
    BEGINNINGS
        .iter()
        .any(|beginning| message.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    fn normalized(status: &Status) -> (Option<Code>, Status) {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let code = normalize(&mut headers, "/a.B/C");
        (code, Status::from_header_map(&headers).unwrap())
    }

    #[test]
    fn statuses_of_tonic_are_replaced() {
        for (status, code, reason) in [
            (
                Status::out_of_range(
                    "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes",
                ),
                Code::ResourceExhausted,
                "MESSAGE_TOO_LARGE",
            ),
            (
                Status::internal("Missing request message."),
                Code::InvalidArgument,
                "MALFORMED_REQUEST",
            ),
            (
                Status::unimplemented(""),
                Code::Unimplemented,
                "UNKNOWN_METHOD",
            ),
            (
                Status::cancelled("operation was canceled"),
                Code::Cancelled,
                "CANCELLED",
            ),
            (
                Status::unavailable("gone"),
                Code::Unavailable,
                "UNAVAILABLE",
            ),
            (
                Status::deadline_exceeded(""),
                Code::DeadlineExceeded,
                "DEADLINE_EXCEEDED",
            ),
        ] {
            let (actual_code, replaced) = normalized(&status);
            assert_eq!(actual_code, Some(code));
            assert_eq!(replaced.code(), code);
            assert_eq!(replaced.get_details_error_info().unwrap().reason, reason);
            let temporary = matches!(
                code,
                Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded
            );
            assert_eq!(replaced.get_details_retry_info().is_some(), temporary);
            assert_eq!(
                replaced.metadata().contains_key(faults::PUSHBACK),
                temporary
            );
        }
    }

    #[test]
    fn the_error_of_a_request_that_is_too_large_names_the_setting_and_its_value() {
        let request = "the request is larger than MAX_REQUEST_BYTES (4 bytes); send files with UploadAttachment first";
        for (status, expected) in [
            (
                Status::out_of_range(
                    "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes",
                ),
                request,
            ),
            (
                Status::resource_exhausted(
                    "Error decompressing: size limit, of 4 bytes, exceeded while decompressing message",
                ),
                request,
            ),
            (
                Status::out_of_range(
                    "Error, encoded message length too large: found 9 bytes, the limit is: 4 bytes",
                ),
                "the reply is larger than a message may be; request less at once",
            ),
        ] {
            assert_eq!(normalized(&status).1.message(), expected);
        }
    }

    #[test]
    fn statuses_of_handlers_stay() {
        for status in [
            Status::out_of_range("the cursor is older than what is kept"),
            Status::internal("Missing"),
            Status::unimplemented("not yet"),
            faults::internal(),
        ] {
            let (code, sent) = normalized(&status);
            assert_eq!(
                (code, sent.message()),
                (Some(status.code()), status.message())
            );
            assert_eq!(sent.details(), status.details());
        }
    }

    #[test]
    fn headers_without_a_status_have_no_code() {
        assert_eq!(normalize(&mut HeaderMap::new(), "/a.B/C"), None);
        assert_eq!(normalized(&Status::ok("")).0, Some(Code::Ok));
    }
}
