//! Webhooks: requests that a provider sends to this service.
//!
//! The server reads the request within limits of size and time, and finds the provider by the path
//! `/webhooks/<provider>/<path>`. The provider verifies the request, parses it, and passes what it says to
//! [`ProviderEvents`](crate::ProviderEvents).

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{AttemptId, InboundError, RetryReport};

/// Handler of a provider's webhooks. Every one is called with POST.
#[async_trait]
pub trait Webhooks: Send + Sync + 'static {
    /// Returns the maximum size of a body for a path, without `/webhooks/<provider>/`; `None` if there is no such
    /// webhook. Reports about one attempt arrive at the path `status`, which is that of
    /// [`HandOver::callback_url`](crate::HandOver).
    fn max_body_bytes(&self, path: &str) -> Option<usize>;

    /// Handles a request to one of its paths. A request whose effect may be lost if it is not repeated must be answered
    /// with [`WebhookResponse::retry_later`].
    async fn handle(&self, request: WebhookRequest) -> WebhookResponse;
}

/// Request to a webhook, with its whole body.
#[derive(Debug, Clone)]
pub struct WebhookRequest {
    /// The path without `/webhooks/<provider>/`.
    pub path: String,
    /// The query as it was sent, without the question mark; empty if there is none.
    pub query: String,
    /// The URL as the provider has called it: the public URL of the configuration, path and query. Signatures are
    /// computed over it; no header of the request has an influence on it.
    pub url: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl WebhookRequest {
    /// Returns the first value of a query parameter as it was sent, without percent-decoding.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.query.split('&');
        parameters.find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix('='))
    }

    /// Returns the attempt that the query names: `message=<id>&attempt=<number>` as in the callback URL, or
    /// `attempt=<id of the attempt>`.
    #[must_use]
    pub fn attempt(&self) -> Option<AttemptId> {
        let attempt = self.parameter("attempt")?;
        match self.parameter("message") {
            Some(message) => AttemptId::parse(&format!("{message}.{attempt}")),
            None => AttemptId::parse(attempt),
        }
    }
}

/// What became of a request to a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookOutcome {
    /// It was handled, now or before.
    Accepted,
    /// Its signature is missing or wrong.
    Unverified,
    /// It was verified, and there is nothing to do with it: malformed, or not for a sender of this installation.
    Unusable,
    /// It could not be handled now.
    RetryLater,
}

impl WebhookOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [
        Self::Accepted,
        Self::Unverified,
        Self::Unusable,
        Self::RetryLater,
    ];

    /// The name in metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Unverified => "unverified",
            Self::Unusable => "unusable",
            Self::RetryLater => "retry_later",
        }
    }
}

/// Response of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookResponse {
    /// What became of the request. The status may say something else: some providers repeat what they call an error.
    pub outcome: WebhookOutcome,
    /// The status.
    pub status: StatusCode,
    /// The type of the body, if there is one.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
}

impl WebhookResponse {
    /// The request was handled and must not be repeated.
    #[must_use]
    pub const fn accepted() -> Self {
        Self {
            outcome: WebhookOutcome::Accepted,
            status: StatusCode::NO_CONTENT,
            content_type: None,
            body: Bytes::new(),
        }
    }

    /// The request was not handled and must be repeated later.
    #[must_use]
    pub fn retry_later() -> Self {
        Self::text(
            WebhookOutcome::RetryLater,
            StatusCode::SERVICE_UNAVAILABLE,
            "try again later\n",
        )
    }

    /// Plain text for the logs of the provider.
    #[must_use]
    pub fn text(outcome: WebhookOutcome, status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self {
            outcome,
            status,
            content_type: Some("text/plain; charset=utf-8"),
            body: text.into(),
        }
    }
}

impl From<Result<(), RetryReport>> for WebhookResponse {
    fn from(result: Result<(), RetryReport>) -> Self {
        match result {
            Ok(()) => Self::accepted(),
            Err(RetryReport) => Self::retry_later(),
        }
    }
}

impl From<Result<(), InboundError>> for WebhookResponse {
    fn from(result: Result<(), InboundError>) -> Self {
        match result {
            Ok(()) => Self::accepted(),
            Err(InboundError::RetryLater) => Self::retry_later(),
            Err(error @ InboundError::UnknownAddress) => Self::text(
                WebhookOutcome::Unusable,
                StatusCode::NOT_FOUND,
                format!("{error}\n"),
            ),
            Err(error @ InboundError::Invalid(_)) => Self::text(
                WebhookOutcome::Unusable,
                StatusCode::BAD_REQUEST,
                format!("{error}\n"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use parlance_domain::{MessageId, Timestamp};

    use super::*;

    fn request(query: &str) -> WebhookRequest {
        WebhookRequest {
            path: "status".to_owned(),
            query: query.to_owned(),
            url: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    #[test]
    fn query_parameters_are_found_by_their_whole_name() {
        let request = request("last_attempt=1&attempt=2&attempt=3&empty=");
        assert_eq!(request.parameter("attempt"), Some("2"));
        assert_eq!(request.parameter("empty"), Some(""));
        assert_eq!(request.parameter("att"), None);
    }

    #[test]
    fn an_attempt_is_named_by_one_parameter_or_by_two() {
        let message_id = MessageId::new(Timestamp::from_micros(1), [7; 10]);
        let expected = AttemptId {
            message_id,
            number: 2,
        };
        for query in [
            format!("message={message_id}&attempt=2"),
            format!("attempt=2&message={message_id}"),
            format!("attempt={message_id}.2"),
        ] {
            assert_eq!(request(&query).attempt(), Some(expected), "{query}");
        }
        for query in [
            String::new(),
            format!("message={message_id}"),
            format!("message={message_id}&attempt=0"),
            format!("message={message_id}&attempt={message_id}.2"),
            "message=x&attempt=1".to_owned(),
            "attempt=2".to_owned(),
        ] {
            assert_eq!(request(&query).attempt(), None, "{query}");
        }
    }
}
