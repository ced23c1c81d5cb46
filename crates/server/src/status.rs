//! Conversion of the app's errors to gRPC statuses with details. Only this module chooses the code of a handler's error.

use std::collections::HashMap;
use std::time::Duration;

use parlance_app::{Error, Kind};
use parlance_transport::layers::cause;
use parlance_transport::layers::faults::{DOMAIN, PUSHBACK, RETRY_AFTER};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// Maximum length of a status message in bytes. Message and details are sent as headers, and common clients refuse a reply
/// with more than 8 KiB of headers: they would report another error instead.
const TEXT_BYTES: usize = 512;
/// Maximum size of all violations together, for the same reason; base64 makes details a third larger.
const VIOLATIONS_BYTES: usize = 3 * 1_024;

/// Returns the status that a client sees of an error. The cause goes to the log only.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`map_err` passes the error by value, and it is not used afterwards"
)]
pub(crate) fn of(error: Error) -> Status {
    record_cause(&error);
    let metadata = error.metadata.iter();
    let info: HashMap<_, _> = metadata
        .map(|(&key, value)| (key.to_owned(), value.clone()))
        .collect();
    let mut details = ErrorDetails::with_error_info(error.reason.as_str(), DOMAIN, info);
    if !error.violations.is_empty() {
        details.set_bad_request(violations(&error));
    }
    if error.reason.kind() == Kind::FailedPrecondition {
        details.add_precondition_failure_violation(
            error.reason.as_str(),
            subject(&error),
            error.message.as_str(),
        );
    }
    let mut metadata = MetadataMap::new();
    if let Some(delay) = error.retry_after.or_else(|| default_delay(&error)) {
        details.set_retry_info(Some(delay));
        metadata.insert(PUSHBACK, MetadataValue::from(millis(delay)));
    }
    let text = truncate(&error.message, TEXT_BYTES);
    Status::with_error_details_and_metadata(code(error.reason.kind()), text, details, metadata)
}

/// Every temporary error has a retry delay.
fn default_delay(error: &Error) -> Option<Duration> {
    let temporary = matches!(
        error.reason.kind(),
        Kind::Unavailable | Kind::DeadlineExceeded
    );
    temporary.then_some(RETRY_AFTER)
}

const fn code(kind: Kind) -> Code {
    match kind {
        Kind::InvalidArgument => Code::InvalidArgument,
        Kind::NotFound => Code::NotFound,
        Kind::FailedPrecondition => Code::FailedPrecondition,
        Kind::Aborted => Code::Aborted,
        Kind::AlreadyExists => Code::AlreadyExists,
        Kind::PermissionDenied => Code::PermissionDenied,
        Kind::ResourceExhausted => Code::ResourceExhausted,
        Kind::OutOfRange => Code::OutOfRange,
        Kind::Unavailable => Code::Unavailable,
        Kind::DeadlineExceeded => Code::DeadlineExceeded,
        Kind::Internal => Code::Internal,
    }
}

/// The violations that fit, and a last one with the number of the others.
fn violations(error: &Error) -> Vec<FieldViolation> {
    let mut shown = Vec::new();
    let mut bytes = 0;
    for violation in &error.violations {
        bytes += violation.field.len() + violation.description.len();
        if bytes > VIOLATIONS_BYTES {
            let more = error.violations.len() - shown.len();
            let last = error
                .violations
                .last()
                .map_or("", |violation| violation.field.as_str());
            shown.push(FieldViolation::new(
                last,
                format!("{more} more fields are invalid; correct these first"),
            ));
            break;
        }
        shown.push(FieldViolation::new(
            &violation.field,
            &violation.description,
        ));
    }
    shown
}

/// The resource that the error names, as the subject of a failed precondition.
fn subject(error: &Error) -> String {
    let id = error.metadata.iter().find(|(key, _)| key.ends_with("_id"));
    id.map(|(key, value)| format!("{key}/{value}"))
        .unwrap_or_default()
}

fn millis(delay: Duration) -> u64 {
    u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
}

/// Shortens a text to this many bytes, between two characters.
fn truncate(text: &str, max: usize) -> String {
    const MORE: &str = " ...";
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max - MORE.len());
    format!("{}{MORE}", &text[..end])
}

/// Leaves the reason and the cause for the log record of the call.
fn record_cause(error: &Error) {
    if !tracing::enabled!(tracing::Level::INFO) {
        return;
    }
    let reason = error.reason.as_str();
    match error.causes() {
        Some(causes) => cause::note(format!("{reason}: {causes}")),
        None => cause::note(reason),
    }
}

#[cfg(test)]
mod tests {
    use parlance_app::Reason;
    use parlance_domain::Violation;
    use tonic_types::ErrorDetail;

    use super::*;

    const TABLE: &str = include_str!("../../../docs/errors.md");

    #[test]
    fn every_error_has_one_info_and_the_code_of_its_kind() {
        for &reason in Reason::ALL {
            let status = of(Error::new(reason, "text").with("message_id", 7));
            assert_eq!(status.code(), code(reason.kind()));
            assert_eq!(status.message(), "text");
            let info = |detail| {
                if let ErrorDetail::ErrorInfo(info) = detail {
                    Some(info)
                } else {
                    None
                }
            };
            let details = status.get_error_details_vec();
            let infos: Vec<_> = details.into_iter().filter_map(info).collect();
            assert_eq!(infos.len(), 1);
            assert_eq!(
                (infos[0].reason.as_str(), infos[0].domain.as_str()),
                (reason.as_str(), DOMAIN)
            );
            assert_eq!(infos[0].metadata["message_id"], "7");
        }
    }

    #[test]
    fn every_reason_is_documented_with_its_code_and_remedy() {
        let rows: Vec<Vec<&str>> = TABLE
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
            .collect();
        for &reason in Reason::ALL {
            let name = format!("`{}`", reason.as_str());
            let found: Vec<_> = rows.iter().filter(|row| row[0] == name).collect();
            let [row] = found[..] else {
                panic!("{name} is {} times in the table", found.len())
            };
            let [_, code_shown, when, remedy] = row[..] else {
                panic!("{name} has {} columns", row.len())
            };
            assert_eq!(
                code_shown,
                format!("`{}`", name_of(code(reason.kind()))),
                "{name}"
            );
            assert!(!when.is_empty(), "{name} has no condition");
            assert_eq!(remedy, reason.remedy(), "{name}");
        }
        let known: Vec<_> = Reason::ALL
            .iter()
            .map(|reason| format!("`{}`", reason.as_str()))
            .collect();
        let first_of_others = rows
            .iter()
            .position(|row| !known.contains(&row[0].to_owned()));
        assert_eq!(
            first_of_others,
            Some(known.len()),
            "reasons in the order of declaration, then those of the transport"
        );
    }

    /// Name of a code in the specification: `INVALID_ARGUMENT` for `InvalidArgument`.
    fn name_of(code: Code) -> String {
        let mut name = String::new();
        for c in format!("{code:?}").chars() {
            if c.is_uppercase() && !name.is_empty() {
                name.push('_');
            }
            name.push(c.to_ascii_uppercase());
        }
        name
    }

    #[test]
    fn every_invalid_field_is_reported() {
        let violations = vec![
            Violation::new("a", "is invalid"),
            Violation::new("b", "is, too"),
        ];
        let status = of(Error::invalid(violations));
        assert_eq!(status.code(), Code::InvalidArgument);
        let shown = status.get_details_bad_request().unwrap().field_violations;
        assert_eq!(shown.len(), 2);
        assert_eq!(
            (shown[1].field.as_str(), shown[1].description.as_str()),
            ("b", "is, too")
        );
    }

    #[test]
    fn an_error_with_thousands_of_violations_fits_into_headers() {
        let violation = |n: usize| {
            Violation::new(
                format!("ids[{n}]"),
                "not an id; give it as the service wrote it",
            )
        };
        let status = of(Error::invalid((0..5_000).map(violation).collect()));
        let mut headers = http::HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let bytes: usize = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 32)
            .sum();
        assert!(bytes < 8 * 1_024, "{bytes} bytes");
        let shown = status.get_details_bad_request().unwrap().field_violations;
        let (last, fitting) = shown.split_last().unwrap();
        assert_eq!(last.field, "ids[4999]");
        assert!(
            last.description
                .starts_with(&(5_000 - fitting.len()).to_string())
        );
    }

    #[test]
    fn a_long_text_is_truncated_between_characters() {
        let text = truncate(&"\u{e4}".repeat(400), TEXT_BYTES);
        assert!(text.len() <= TEXT_BYTES && text.ends_with(" ..."));
        assert_eq!(truncate("short", TEXT_BYTES), "short");
    }

    #[test]
    fn a_retry_delay_is_in_the_details_and_in_the_pushback_header() {
        let error = Error::new(Reason::DatabaseUnavailable, "away")
            .retry_after(Duration::from_millis(1_500));
        let status = of(error);
        assert_eq!(status.metadata().get(PUSHBACK).unwrap(), "1500");
        let info = status.get_details_retry_info().unwrap();
        assert_eq!(info.retry_delay, Some(Duration::from_millis(1_500)));
        assert!(
            of(Error::new(Reason::Conflict, "again"))
                .metadata()
                .get(PUSHBACK)
                .is_none()
        );
    }

    #[test]
    fn every_temporary_error_has_a_retry_delay() {
        for &reason in Reason::ALL {
            let temporary = matches!(reason.kind(), Kind::Unavailable | Kind::DeadlineExceeded);
            let status = of(Error::new(reason, "text"));
            let has_delay = status.get_details_retry_info().is_some();
            assert_eq!(has_delay, temporary, "{}", reason.as_str());
            assert_eq!(status.metadata().contains_key(PUSHBACK), temporary);
        }
    }

    #[test]
    fn a_failed_precondition_names_its_subject() {
        let error = Error::new(Reason::ConversationClosed, "is closed")
            .with("status", "closed")
            .with("conversation_id", "c1");
        let failure = of(error).get_details_precondition_failure().unwrap();
        let [violation] = &failure.violations[..] else {
            panic!("{failure:?}")
        };
        assert_eq!(violation.r#type, "CONVERSATION_CLOSED");
        assert_eq!(violation.subject, "conversation_id/c1");
        assert_eq!(violation.description, "is closed");
    }

    #[test]
    fn the_cause_is_not_sent_to_the_client() {
        let cause = std::io::Error::other("secret text of a driver");
        let status =
            of(Error::new(Reason::Internal, "something went wrong on our side").caused_by(cause));
        assert!(!format!("{status:?}").contains("secret"));
        assert!(!String::from_utf8_lossy(status.details()).contains("secret"));
    }
}
