//! Errors of use cases: a kind for the transport, a reason for programs, a text for people and the cause for the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parlance_domain::Violation;
use parlance_storage::StorageError;

/// The result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

/// Kind of an error; the transport maps it to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is invalid in any state.
    InvalidArgument,
    /// Unknown, deleted, or another owner's.
    NotFound,
    /// The request is valid, but not in the present state.
    FailedPrecondition,
    /// A concurrent write won; read again and retry.
    Aborted,
    /// The resource exists already.
    AlreadyExists,
    /// The caller has no right to it.
    PermissionDenied,
    /// A limit is exceeded.
    ResourceExhausted,
    /// Outside of what is kept.
    OutOfRange,
    /// The database cannot be reached; retry later.
    Unavailable,
    /// The time limit has passed.
    DeadlineExceeded,
    /// A fault of the service.
    Internal,
}

/// Declares the reasons with their names, kinds and remedies.
macro_rules! reasons {
    ($($(#[$meta:meta])* $variant:ident = $word:literal, $kind:ident, $remedy:literal;)+) => {
        /// Reason of an error, for programs: the `reason` of the `ErrorInfo`. Never renamed, never used for something
        /// else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$meta])* $variant,)+ }

        impl Reason {
            /// Every reason, in the order of the table in the docs.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in the `ErrorInfo`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The kind of every error with this reason.
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)+ }
            }

            /// What a caller can do, for the table in the docs.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
}

reasons! {
    /// Fields are missing or malformed; the violations name each.
    InvalidRequest = "INVALID_REQUEST", InvalidArgument, "correct every field that `BadRequest` names";
    /// The bytes are not the request message of the method.
    MalformedRequest = "MALFORMED_REQUEST", InvalidArgument, "generate the client from the current protos";
    /// The `request_id` belongs to another request.
    RequestIdReused = "REQUEST_ID_REUSED", InvalidArgument, "use a new `request_id` for a new request";
    /// No such message.
    MessageNotFound = "MESSAGE_NOT_FOUND", NotFound, "check the id and the owner";
    /// No such conversation.
    ConversationNotFound = "CONVERSATION_NOT_FOUND", NotFound, "check the id and the owner";
    /// No such sender.
    SenderNotFound = "SENDER_NOT_FOUND", NotFound, "check the id and the owner";
    /// No such attachment.
    AttachmentNotFound = "ATTACHMENT_NOT_FOUND", NotFound, "check both ids and the owner";
    /// No such upload, or it was used, or it has expired.
    UploadNotFound = "UPLOAD_NOT_FOUND", FailedPrecondition, "upload the file again: an upload is good for one send within 24 hours";
    /// No such webhook of the simulator.
    WebhookNotFound = "WEBHOOK_NOT_FOUND", NotFound, "read the id with ListWebhooks; the simulator keeps the last 10,000";
    /// The content is not stored here.
    AttachmentElsewhere = "ATTACHMENT_ELSEWHERE", FailedPrecondition, "fetch it from the attachment's `url`";
    /// The resource changed since it was read.
    EtagMismatch = "ETAG_MISMATCH", Aborted, "read it again, apply the edit to that, send the new etag";
    /// A concurrent request changed the same resource.
    Conflict = "CONFLICT", Aborted, "retry";
    /// The conversation is closed, which is final.
    ConversationClosed = "CONVERSATION_CLOSED", FailedPrecondition, "send by addresses, which opens a new conversation";
    /// The change is not possible from the present status.
    IllegalStatus = "ILLEGAL_STATUS", FailedPrecondition, "read the resource: its status says what is possible";
    /// The field can be edited only before the message is handed over.
    NotEditable = "NOT_EDITABLE", FailedPrecondition, "after the hand-over only metadata can be edited";
    /// The message is being handed over.
    MessageInFlight = "MESSAGE_IN_FLIGHT", FailedPrecondition, "wait until it is SENT or FAILED";
    /// No sender has this address.
    NoSender = "NO_SENDER", FailedPrecondition, "create a sender with CreateSender";
    /// This installation has no such provider.
    NoProvider = "NO_PROVIDER", FailedPrecondition, "configure the provider, or name one that is";
    /// This installation's configuration has no such credentials.
    NoCredentials = "NO_CREDENTIALS", FailedPrecondition, "leave `credentials` empty or name some of the configuration";
    /// Messages still wait for the sender.
    SenderInUse = "SENDER_IN_USE", FailedPrecondition, "wait until they are sent, or delete them";
    /// The messages before these were not imported.
    ImportIncomplete = "IMPORT_INCOMPLETE", FailedPrecondition, "import the messages before these first, and these once more";
    /// Nothing is cached here.
    CacheOff = "CACHE_OFF", FailedPrecondition, "set `CACHE_BACKEND`; reads also work without a cache";
    /// The address is another owner's sender.
    SenderOfAnother = "SENDER_OF_ANOTHER", PermissionDenied, "send from an address of your own";
    /// The pair of addresses has an open conversation; its id is in the metadata.
    ConversationExists = "CONVERSATION_EXISTS", AlreadyExists, "use the conversation that `conversation_id` names";
    /// The external id is taken; the conversation's id is in the metadata.
    ExternalIdTaken = "EXTERNAL_ID_TAKEN", AlreadyExists, "use the conversation that `conversation_id` names, or another external id";
    /// Another message has this provider's id.
    ProviderMessageIdTaken = "PROVIDER_MESSAGE_ID_TAKEN", AlreadyExists, "leave `provider_message_id` out, or import the message only once";
    /// The address is a sender already.
    SenderExists = "SENDER_EXISTS", AlreadyExists, "use the sender that has the address";
    /// The request or the reply is larger than a message may be.
    MessageTooLarge = "MESSAGE_TOO_LARGE", ResourceExhausted, "upload large content with UploadAttachment; ask for fewer at once";
    /// The watcher did not keep up.
    WatcherTooSlow = "WATCHER_TOO_SLOW", ResourceExhausted, "watch again from the `cursor` in the metadata, and read faster";
    /// A limit of the simulator is reached.
    SimulatorFull = "SIMULATOR_FULL", ResourceExhausted, "clear scripts that are no longer needed, or wait until webhooks have been sent";
    /// The simulator lacks a setting that the call needs.
    SimulatorNotSet = "SIMULATOR_NOT_SET", FailedPrecondition, "start `parlance simulate` with `--inbound-url`";
    /// The cursor is older than what is kept, or of another feed.
    CursorExpired = "CURSOR_EXPIRED", OutOfRange, "read the conversations again, then watch without a cursor";
    /// The database cannot be reached, is busy, or takes no writes.
    DatabaseUnavailable = "DATABASE_UNAVAILABLE", Unavailable, "retry after the delay of `RetryInfo`, with the same `request_id`";
    /// The cache cannot be reached. Reads and writes continue without it.
    CacheUnavailable = "CACHE_UNAVAILABLE", Unavailable, "retry after the delay of `RetryInfo`; GetCacheInfo says what is wrong";
    /// This instance is shutting down.
    ShuttingDown = "SHUTTING_DOWN", Unavailable, "reconnect: another instance will answer";
    /// The deadline passed, or the database took too long.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded, "retry with the same `request_id`, perhaps with more time";
    /// A fault of the service; the log has the cause.
    Internal = "INTERNAL", Internal, "report it with the time of the request";
}

/// Error of a use case. Boxed: results are returned everywhere and errors are rare.
#[derive(Debug)]
pub struct Error(Box<Details>);

/// The parts of an [`Error`].
#[derive(Debug)]
pub struct Details {
    /// The reason, for programs.
    pub reason: Reason,
    /// The text, for people.
    pub message: String,
    /// Every invalid field.
    pub violations: Vec<Violation>,
    /// Further values for programs.
    pub metadata: BTreeMap<&'static str, String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The cause, for the log alone.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// How long a caller waits before it tries an unavailable database again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Error {
    /// Creates an error from a reason and a text.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            reason,
            message: message.into(),
            violations: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after: None,
            source: None,
        }))
    }

    /// Creates an error that lists all invalid fields.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let texts: Vec<String> = violations
            .iter()
            .map(|v| format!("{}: {}", v.field, v.description))
            .collect();
        let mut error = Self::new(Reason::InvalidRequest, texts.join("; "));
        error.0.violations = violations;
        error
    }

    /// Creates an error for one invalid field.
    pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::invalid(vec![Violation::new(field, description)])
    }

    /// Adds a value for programs.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl std::fmt::Display) -> Self {
        self.0.metadata.insert(key, value.to_string());
        self
    }

    /// Adds a delay after which to retry.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// Adds the cause, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Returns the texts of all causes, for the log. A text that the previous one contains is left out.
    pub fn causes(&self) -> Option<String> {
        let first: &(dyn std::error::Error + 'static) = self.source.as_deref()?;
        let mut text = first.to_string();
        let mut next = first.source();
        while let Some(cause) = next {
            let next_text = cause.to_string();
            if !text.contains(&next_text) {
                text = format!("{text}: {next_text}");
            }
            next = cause.source();
        }
        Some(text)
    }
}

impl Error {
    /// Copies the error for another waiter of the same shared load.
    pub(crate) fn shared(error: Arc<Self>) -> Self {
        Self(Box::new(Details {
            reason: error.reason,
            message: error.message.clone(),
            violations: error.violations.clone(),
            metadata: error.metadata.clone(),
            retry_after: error.retry_after,
            source: Some(Box::new(error)),
        }))
    }
}

impl std::ops::Deref for Error {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<StorageError> for Error {
    /// Wraps an unexpected error of storage.
    fn from(error: StorageError) -> Self {
        Self::of_storage(&error).caused_by(error)
    }
}

impl From<Arc<StorageError>> for Error {
    /// Wraps the error of a statement that several callers waited for.
    fn from(error: Arc<StorageError>) -> Self {
        Self::of_storage(&error).caused_by(error)
    }
}

impl Error {
    /// Classifies an error of storage. The driver's text never reaches the caller.
    fn of_storage(error: &StorageError) -> Self {
        match error {
            StorageError::Unavailable(_) => Self::new(
                Reason::DatabaseUnavailable,
                "the database cannot be reached",
            )
            .retry_after(RETRY_AFTER),
            StorageError::Busy => Self::new(Reason::DatabaseUnavailable, "the database is busy")
                .retry_after(RETRY_AFTER),
            StorageError::WritesRefused(_) => Self::new(
                Reason::DatabaseUnavailable,
                "the database does not accept writes: its disk is full, or it is read-only",
            )
            .retry_after(RETRY_AFTER),
            StorageError::TimedOut => {
                Self::new(Reason::DeadlineExceeded, "the database took too long")
            }
            StorageError::Conflict(_) => Self::new(
                Reason::Conflict,
                "another request changed the same resource at the same time",
            ),
            StorageError::OtherSchema(_)
            | StorageError::Inconsistent { .. }
            | StorageError::Driver(_) => Self::new(
                Reason::Internal,
                "internal error; see the log of the service",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_listed_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: {0}")]
        struct Outer(#[source] std::io::Error);
        let cause = Outer(std::io::Error::other("inner"));
        let error = Error::new(Reason::Internal, "text").caused_by(cause);
        assert_eq!(error.causes().unwrap(), "outer: inner");
        assert_eq!(Error::new(Reason::Internal, "text").causes(), None);
    }
}
