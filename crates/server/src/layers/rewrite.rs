//! Statuses that tonic makes itself, before or after a handler, told in our words.
//!
//! Only a status without details can be one of them: whatever a handler says carries an `ErrorInfo`.

use http::{HeaderMap, HeaderValue};
use tonic::{Code, Status};

use super::faults;

/// The code that these headers or trailers end with, after they were put right. `None` if they are no end.
pub(super) fn settle(headers: &mut HeaderMap, path: &str) -> Option<Code> {
    let found = headers.get(Status::GRPC_STATUS)?;
    if found.as_bytes() == b"0" {
        return Some(Code::Ok);
    }
    let code = Code::from_bytes(found.as_bytes());
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

/// Puts a status where another may stand.
pub(super) fn write(status: &Status, headers: &mut HeaderMap) {
    headers.remove(Status::GRPC_MESSAGE);
    headers.remove(Status::GRPC_STATUS_DETAILS);
    if status.add_header(headers).is_err() {
        // A text that no header can hold; the code alone can.
        headers.insert(Status::GRPC_STATUS, HeaderValue::from(status.code() as i32));
    }
}

/// The texts are tonic's and tonic-prost's; a test goes through them, so that an update that changes them is noticed.
fn replacement(code: Code, message: &str, path: &str) -> Option<Status> {
    // Two arms are enough here, and a list of all other codes would say nothing.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "tonic's enum; all other codes stay as they are"
    )]
    match code {
        Code::OutOfRange if message.contains("message length too large") => {
            Some(faults::too_large(message))
        }
        Code::ResourceExhausted if message.starts_with("Error decompressing: size limit") => {
            Some(faults::too_large(message))
        }
        Code::Internal if is_about_a_bad_request(message) => Some(faults::malformed(
            "the request is not a valid message of this method",
        )),
        Code::Unimplemented if message.is_empty() => Some(faults::unknown_method(path)),
        // A transport's own words, which say neither why nor when to try again.
        Code::Unavailable => Some(faults::passing(code, "UNAVAILABLE", message)),
        Code::Cancelled => Some(faults::passing(code, "CANCELLED", message)),
        Code::DeadlineExceeded => Some(faults::deadline_exceeded()),
        _ => None,
    }
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

    fn settled(status: &Status) -> (Option<Code>, Status) {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let code = settle(&mut headers, "/a.B/C");
        (code, Status::from_header_map(&headers).unwrap())
    }

    #[test]
    fn tonics_own_words_are_told_in_ours() {
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
            let (settled_code, told) = settled(&status);
            assert_eq!(settled_code, Some(code));
            assert_eq!(told.code(), code);
            assert_eq!(told.get_details_error_info().unwrap().reason, reason);
            let passes = matches!(
                code,
                Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded
            );
            assert_eq!(told.get_details_retry_info().is_some(), passes);
            assert_eq!(told.metadata().contains_key(faults::PUSHBACK), passes);
        }
    }

    #[test]
    fn what_a_handler_says_stays() {
        for status in [
            Status::out_of_range("the cursor is older than what is kept"),
            Status::internal("Missing"),
            Status::unimplemented("not yet"),
            faults::internal(),
        ] {
            let (code, told) = settled(&status);
            assert_eq!(
                (code, told.message()),
                (Some(status.code()), status.message())
            );
            assert_eq!(told.details(), status.details());
        }
    }

    #[test]
    fn headers_without_a_status_are_no_end() {
        assert_eq!(settle(&mut HeaderMap::new(), "/a.B/C"), None);
        assert_eq!(settled(&Status::ok("")).0, Some(Code::Ok));
    }
}
