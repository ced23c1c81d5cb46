//! Webhooks: requests that a provider sends to this service.
//!
//! The server reads the request within limits of size and time, and finds the provider by the path
//! `/webhooks/<provider>/<path>`. The provider verifies the request, parses it, and passes what it says to
//! [`ProviderEvents`](crate::ProviderEvents).

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::{InboundError, RetryReport};

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
}

/// Response of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookResponse {
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
            status: StatusCode::NO_CONTENT,
            content_type: None,
            body: Bytes::new(),
        }
    }

    /// The request was not handled and must be repeated later.
    #[must_use]
    pub fn retry_later() -> Self {
        Self::text(StatusCode::SERVICE_UNAVAILABLE, "try again later\n")
    }

    /// Plain text for the logs of the provider.
    #[must_use]
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self {
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
            Err(error @ InboundError::UnknownAddress) => {
                Self::text(StatusCode::NOT_FOUND, format!("{error}\n"))
            }
            Err(error @ InboundError::Invalid(_)) => {
                Self::text(StatusCode::BAD_REQUEST, format!("{error}\n"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_found_by_their_whole_name() {
        let request = WebhookRequest {
            path: "status".to_owned(),
            query: "last_attempt=1&attempt=2&attempt=3&empty=".to_owned(),
            url: String::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        assert_eq!(request.parameter("attempt"), Some("2"));
        assert_eq!(request.parameter("empty"), Some(""));
        assert_eq!(request.parameter("att"), None);
    }
}
