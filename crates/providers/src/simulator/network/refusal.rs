//! Refusals of a message, with the codes and texts of Twilio's API.

use http::StatusCode;

/// Refusal of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Twilio's code.
    pub code: u32,
    /// Status of the response.
    pub status: StatusCode,
    /// Text for people.
    pub message: String,
}

impl Refusal {
    /// Creates a refusal for good: status 400.
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn opted_out() -> Self {
        Self::new(
            code::OPTED_OUT,
            "Attempt to send to unsubscribed recipient: the recipient has opted out",
        )
    }

    /// Word for the `code` of an error of a message, for readers without the documentation of Twilio.
    pub(in crate::simulator) const fn word(&self) -> &'static str {
        match self.code {
            code::OPTED_OUT => "opted_out",
            code::INVALID_TO | code::NOT_MOBILE => "invalid_recipient",
            code::INVALID_FROM | code::FROM_NOT_OWNED => "invalid_sender",
            code::QUEUE_FULL | code::TOO_MANY_REQUESTS => "throttled",
            code::NO_ROUTE | code::NO_PERMISSION => "unreachable_region",
            _ => "refused",
        }
    }
}

/// Codes of Twilio.
pub mod code {
    /// Wrong account or token.
    pub const UNAUTHENTICATED: u32 = 20_003;
    /// The method is not allowed for this resource.
    pub const METHOD_NOT_ALLOWED: u32 = 20_004;
    /// The resource cannot be deleted or redacted yet.
    pub const NOT_COMPLETE: u32 = 20_009;
    /// No such resource.
    pub const NOT_FOUND: u32 = 20_404;
    /// Too many requests.
    pub const TOO_MANY_REQUESTS: u32 = 20_429;
    /// Error of the server.
    pub const SERVER_ERROR: u32 = 20_500;
    /// Invalid recipient.
    pub const INVALID_TO: u32 = 21_211;
    /// Invalid sender.
    pub const INVALID_FROM: u32 = 21_212;
    /// The account may not send to the recipient's region.
    pub const NO_PERMISSION: u32 = 21_408;
    /// No body and no media.
    pub const NO_BODY: u32 = 21_602;
    /// No sender.
    pub const NO_FROM: u32 = 21_603;
    /// No recipient.
    pub const NO_TO: u32 = 21_604;
    /// The sender is not a number of the account, or cannot send.
    pub const FROM_NOT_OWNED: u32 = 21_606;
    /// The callback URL is not valid.
    pub const INVALID_CALLBACK: u32 = 21_609;
    /// The recipient has opted out.
    pub const OPTED_OUT: u32 = 21_610;
    /// The sender's queue is full.
    pub const QUEUE_FULL: u32 = 21_611;
    /// No route to the recipient.
    pub const NO_ROUTE: u32 = 21_612;
    /// The recipient is not a mobile number.
    pub const NOT_MOBILE: u32 = 21_614;
    /// The body is too long.
    pub const BODY_TOO_LONG: u32 = 21_617;
    /// A media URL is not valid.
    pub const INVALID_MEDIA: u32 = 21_620;
    /// Too many media files.
    pub const TOO_MUCH_MEDIA: u32 = 21_623;
    /// The Messaging Service is not valid.
    pub const INVALID_SERVICE: u32 = 21_701;
    /// The handset cannot be reached; after the message was accepted.
    pub const UNREACHABLE: u32 = 30_003;
    /// The message is not in a state in which it can be canceled.
    pub const NOT_CANCELABLE: u32 = 30_409;
    /// The time of a scheduled message is out of range.
    pub const SEND_AT_RANGE: u32 = 35_114;
    /// A scheduled message needs a Messaging Service.
    pub const SCHEDULE_NEEDS_SERVICE: u32 = 35_118;
    /// Another parameter is not valid.
    pub const INVALID_PARAMETER: u32 = 20_001;
}
