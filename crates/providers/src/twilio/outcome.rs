//! What the answer to a hand-over means, or that there is none.
//!
//! | answer | outcome |
//! |---|---|
//! | 2xx with an id | accepted |
//! | 2xx without a readable id, 408, 5xx | lost: the message may have been accepted |
//! | no connection | later: nothing was sent |
//! | a connection and no answer | lost |
//! | 429, and a full queue of the number | later, as the provider asks |
//! | 401 | later: the credentials are wrong, not the message |
//! | 1xx, 3xx | later: the base URL is wrong, not the message |
//! | any other 4xx | refused |

use http::{StatusCode, header};
use parlance_domain::Timestamp;
use parlance_domain::message::ReportedError;

use super::codes;
use super::http_client::{Answer, CallError};
use super::resource::{ErrorResource, MessageResource, is_sid};
use super::time::retry_after;
use crate::Outcome;

/// Maximum length in characters of the provider's text in an error.
const MAX_TEXT: usize = 500;

/// Judges the answer to a hand-over.
pub(super) fn of_creation(answer: Result<Answer, CallError>, now: Timestamp) -> Outcome {
    match answer {
        Ok(answer) if answer.status.is_success() => accepted(&answer),
        Ok(answer) => not_accepted(&answer, now),
        Err(CallError::NotSent(text)) => Outcome::Later {
            after: None,
            error: error("unreachable_provider", text, None),
        },
        Err(CallError::Lost(text)) => Outcome::Lost(error("no_answer", text, None)),
        Err(CallError::TimedOut) => Outcome::Lost(error(
            "timeout",
            "the provider did not answer in time".to_owned(),
            None,
        )),
    }
}

fn accepted(answer: &Answer) -> Outcome {
    match message(answer) {
        Some(message) => Outcome::Accepted {
            provider_message_id: message.sid,
        },
        None => Outcome::Lost(error(
            "unreadable_answer",
            format!("the provider answered {} without an id", answer.status),
            None,
        )),
    }
}

fn not_accepted(answer: &Answer, now: Timestamp) -> Outcome {
    let status = answer.status;
    let ErrorResource {
        code: provider_code,
        message,
    } = error_resource(answer);
    let after = retry_after(answer.headers.get(header::RETRY_AFTER), now);
    let reported = |otherwise: &'static str| {
        let text = message.unwrap_or_else(|| format!("the provider answered {status}"));
        error(codes::code(provider_code, otherwise), text, provider_code)
    };
    if status == StatusCode::TOO_MANY_REQUESTS || provider_code == Some(codes::FROM_QUEUE_FULL) {
        let error = reported("throttled");
        Outcome::Later { after, error }
    } else if status == StatusCode::UNAUTHORIZED {
        let error = reported("unauthorized");
        Outcome::Later { after, error }
    } else if status == StatusCode::REQUEST_TIMEOUT || status.is_server_error() {
        Outcome::Lost(reported("provider_error"))
    } else if status.is_client_error() {
        Outcome::Refused(reported("refused"))
    } else {
        let error = reported("unexpected_answer");
        Outcome::Later { after, error }
    }
}

/// Reads the message of a successful answer.
pub(super) fn message(answer: &Answer) -> Option<MessageResource> {
    let body = answer.body.as_deref()?;
    let message: MessageResource = serde_json::from_slice(body).ok()?;
    is_sid(&message.sid).then_some(message)
}

fn error_resource(answer: &Answer) -> ErrorResource {
    let body = answer.body.as_deref().unwrap_or_default();
    // A proxy answers with HTML.
    serde_json::from_slice(body).unwrap_or_default()
}

/// Error with our code and the provider's.
pub(super) fn error(code: &str, text: String, provider_code: Option<i64>) -> ReportedError {
    let end = text.char_indices().nth(MAX_TEXT);
    let message = match end {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    };
    ReportedError {
        code: code.to_owned(),
        message,
        provider_code: provider_code
            .map(|code| code.to_string())
            .unwrap_or_default(),
    }
}
