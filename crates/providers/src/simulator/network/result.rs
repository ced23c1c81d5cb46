//! Result of an attempt to send a webhook.

/// Result of one attempt to send a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookResult {
    /// A response with this status code.
    Answered(u16),
    /// The connection could not be opened.
    NotConnected,
    /// No response came in time, or the connection ended before it.
    NotAnswered,
    /// The URL cannot be called: it is not http.
    NotCallable,
}

impl WebhookResult {
    pub(super) const fn is_success(self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Answered(status) => format!("HTTP {status}"),
            Self::NotConnected => "the connection was refused or timed out".to_owned(),
            Self::NotAnswered => "no response in time".to_owned(),
            Self::NotCallable => {
                "only http URLs can be called; use an http address of the application".to_owned()
            }
        }
    }
}
